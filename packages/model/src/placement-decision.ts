import { Type, type Static } from "typebox";
import { Id, optional, strict } from "./schema.ts";

/** What adds to a node's score, the sum of which decides; least is best. */
export const scorePartNames = ["spread", "pack", "price", "carbon", "latency", "affinity", "stayPut"] as const;
export type ScorePartName = (typeof scorePartNames)[number];

const part = optional(Type.Number());

export const ScoreParts = strict(
  { spread: part, pack: part, price: part, carbon: part, latency: part, affinity: part, stayPut: part },
  "what each thing added to the score, which is their sum; what added nothing is left out",
);
export type ScoreParts = Static<typeof ScoreParts>;

const whole = (description: string) => Type.Integer({ minimum: 0, description });

/** What of a decision where something runs can't be computed again later. */
export const PlacementDecision = strict({
  revision: whole("of the log, just before it was decided: the nodes as they were then decided it"),
  generation: Type.Integer({ minimum: 1, description: "of the spec that was asked" }),
  considered: whole("how many nodes there were"),
  fitting: optional(whole("how many of them had all that was asked; not counted in a large fleet")),
  parts: ScoreParts,
  next: optional(strict({ nodeId: Id, parts: ScoreParts }, "the next best node; not looked for in a large fleet")),
});
export type PlacementDecision = Static<typeof PlacementDecision>;
