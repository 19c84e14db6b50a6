import { Type, type Static } from "typebox";
import { PlacementDecision, ScoreParts, scorePartNames } from "./placement-decision.ts";
import { Name, Timestamp, oneOf, optional, strict } from "./schema.ts";

const whole = (description: string) => Type.Integer({ minimum: 0, description });

/** A node, by name only towards those who may read it. */
const Where = { node: optional(Name), site: Name };

export const PlacementChoice = strict({
  ...Where,
  score: Type.Number({ description: "less is better; the sum of its parts" }),
  parts: ScoreParts,
});
export type PlacementChoice = Static<typeof PlacementChoice>;

export const PlacementRefusal = strict({
  reason: Type.String({ description: "what was asked for: capacity-vcpus, country, latency, …" }),
  asked: Type.String({ description: "such as 15 ms from Madrid" }),
  nodes: whole("how many nodes fail it; one that fails several things counts for each"),
  nearest: optional(
    strict(
      {
        value: Type.Union([Type.String(), Type.Number()]),
        opens: whole("how many nodes"),
        advice: Type.String(),
      },
      "the least change of this one thing alone that would let a node fit",
    ),
  ),
  sentence: Type.String(),
});
export type PlacementRefusal = Static<typeof PlacementRefusal>;

/** What would change a decision: one thing asked otherwise. */
export const PlacementChange = strict({
  reason: Type.String(),
  asked: Type.String(),
  instead: Type.String({ description: "what to ask, in words" }),
  spec: optional(
    Type.Object(
      {},
      { description: "the same as fields of the instance's spec; absent where the spec does not say it" },
    ),
  ),
  ...Where,
  gain: optional(Type.Number({ description: "by how much less it would score there; absent where nothing fits" })),
  opens: strict({ nodes: Type.Integer(), sites: Type.Integer() }, "what would fit besides what does"),
  sentence: Type.String(),
});
export type PlacementChange = Static<typeof PlacementChange>;

/** Why here, why not there, and what would change it. */
export const Explanation = strict({
  considered: whole("how many nodes there are"),
  fitting: whole("how many of them have all that is asked"),
  chosen: optional(PlacementChoice),
  alternatives: Type.Array(
    strict({
      ...PlacementChoice.properties,
      losesBy: Type.Array(strict({ part: oneOf(scorePartNames), difference: Type.Number() }), {
        description: "what makes it worse than the chosen one, most first",
      }),
      sentence: Type.String(),
    }),
    { description: "the next best nodes that fit, best first" },
  ),
  refusals: Type.Array(PlacementRefusal, { description: "what stands in the way elsewhere, by reason" }),
  changes: Type.Array(PlacementChange, {
    description: "each thing that alone, asked for otherwise, would open a node, or a better one",
  }),
});
export type Explanation = Static<typeof Explanation>;

/** `replayed`: the engine decided it again on the nodes as they were, and alike. `kept`: that past is gone, and only what was kept is told. */
const told = ["replayed", "kept"] as const;

export const PlacementExplanation = strict({
  instance: strict({ project: Name, name: Name }),
  decided: strict(
    {
      told: oneOf(
        told,
        "replayed: decided again by the engine on the nodes as they were then, with the same result; kept: those are no longer known, " +
          "and what is told is what was kept of the decision",
      ),
      why: Type.String({ description: "why it is told so" }),
      at: Timestamp,
      node: optional(Name),
      site: optional(Name),
      reason: optional(
        Type.String({ description: "why there, in words, as it was decided; for whoever may read its node" }),
      ),
      decision: optional(PlacementDecision),
      explanation: optional(Explanation),
    },
    "the decision itself; its explanation only where it was replayed",
  ),
  now: strict(
    {
      revision: whole("of the log, at which the nodes are as they are told here"),
      stays: Type.Boolean({ description: "whether it would go where it is" }),
      explanation: Explanation,
    },
    "what the engine would decide now if it were placed anew, with what it takes given back first: another decision than the one that was made",
  ),
});
export type PlacementExplanation = Static<typeof PlacementExplanation>;
