import type { Condition } from "@skerry/model";
import { timestamp } from "../operations/clock.ts";

/** The conditions with one of them set; the time stays where only the message changed. Without `condition` that type goes. */
export function withCondition(
  conditions: readonly Condition[],
  type: string,
  condition: Omit<Condition, "type" | "changedAt"> | undefined,
  nowMs: number,
): Condition[] {
  const others = conditions.filter((other) => other.type !== type);
  if (condition === undefined) return others;
  const before = conditions.find((other) => other.type === type);
  const unchanged = before?.state === condition.state && before.reason === condition.reason;
  const next = { type, ...condition, changedAt: unchanged ? before.changedAt : timestamp(nowMs) };
  return [...others, next].sort((one, other) => (one.type < other.type ? -1 : 1));
}
