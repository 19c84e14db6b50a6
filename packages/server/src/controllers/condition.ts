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

/** The conditions with what the node says it fails at, as `Failing` with a reason such as `StorageFull` and the remedy. */
export function withFailure(
  conditions: readonly Condition[],
  { error, errorCode, remedy }: { readonly error?: string; readonly errorCode?: string; readonly remedy?: string },
  nowMs: number,
): Condition[] {
  if (error === undefined || errorCode === undefined) return withCondition(conditions, "Failing", undefined, nowMs);
  const reason = errorCode
    .split("-")
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("");
  const known = /^[A-Z][A-Za-z]+$/.test(reason);
  const message = (remedy === undefined ? error : `${error} ${remedy}`).slice(0, 2048);
  return withCondition(
    conditions,
    "Failing",
    { state: "true", reason: known ? reason : "NodeDriverFailed", message },
    nowMs,
  );
}
