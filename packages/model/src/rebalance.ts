import { Type, type Static } from "typebox";
import { Name, oneOf, strict } from "./schema.ts";

export const rebalanceObjectives = ["balance", "price", "carbon", "consolidation"] as const;

export const RebalanceProposal = strict({
  instance: Name,
  project: Name,
  from: Name,
  to: Name,
  gain: Type.Number({
    description: "by how much the objective becomes less; of consolidation by the last move off a node",
  }),
  bytes: Type.Integer({ minimum: 0, description: "of its disk, which is copied while it is down" }),
});
export type RebalanceProposal = Static<typeof RebalanceProposal>;

export const RebalanceProposals = strict(
  {
    objective: oneOf(rebalanceObjectives),
    before: Type.Number({ description: "of what was looked at" }),
    after: Type.Number({ description: "once all of these have been moved" }),
    moves: Type.Array(RebalanceProposal),
    hidden: Type.Integer({
      minimum: 0,
      description: "moves of instances that whoever asks may not see, which are not listed",
    }),
    bytes: Type.Integer({ minimum: 0, description: "of all moves" }),
    lookedAt: Type.Integer({ minimum: 0, description: "instances, those first from which most is to be gained" }),
  },
  "Moves that gain something. balance: the sum over nodes of the square of their use, from 0 to 1; price: euros in an hour; carbon: " +
    "vCPUs times grams of CO2 for a kWh; consolidation: nodes with anything on them.",
);
export type RebalanceProposals = Static<typeof RebalanceProposals>;
