import { SkerryError, type MoveForecast, type OperationResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { IntentContext } from "../../intents.ts";
import { inTurns } from "../../operations/kinds/convoy/fair-order.ts";
import type { Pace, Passenger } from "../../operations/kinds/convoy/convoy.ts";
import { startMove, type MoveDeps } from "../intents/instance-move.ts";
import { rootVolumeOf } from "../reap.ts";
import { BudgetGuard } from "./budget-guard.ts";

/** So many are looked at, for so long: each is placed as it would be, and the server waits meanwhile. */
const mostForeseen = 1000;
const longestMs = 500;
const bytesPerMiB = 1024 * 1024;

/**
 * Where each would go, in the order in which they would be moved, each taking its room before the next is looked at: within a
 * transaction that is only rehearsed. What the requester may not see is counted, and not named.
 */
export function forecastOf(
  deps: MoveDeps,
  tx: Transaction,
  all: readonly Passenger[],
  { ignoreBudgets }: Pick<Pace, "ignoreBudgets">,
  context: Pick<IntentContext, "actor" | "cause" | "sees">,
  elapsedMs: () => number = () => performance.now(),
): MoveForecast {
  const giveUpMs = elapsedMs() + longestMs;
  const experience = experienceOf(tx);
  // Of budgets as they are: while one is on the move, others wait their turn, which takes time but keeps none where it is.
  const guard = ignoreBudgets ? undefined : new BudgetGuard(tx);
  const moves: MoveForecast["moves"][number][] = [];
  const blocked: MoveForecast["blocked"][number][] = [];
  let hidden = 0;
  let foreseen = 0;
  const queue = inTurns(all, ({ instance }) => instance.metadata.project ?? "");
  for (const { instance, target } of queue.slice(0, mostForeseen)) {
    if (elapsedMs() > giveUpMs) break;
    foreseen++;
    const { name, project = "" } = instance.metadata;
    const isSeen = context.sees?.(instance) ?? true;
    if (!isSeen) hidden++;
    const from = instance.assignment?.node ?? "?";
    try {
      guard?.check(instance);
      const { operation } = startMove(deps, tx, instance, target === undefined ? {} : { target }, context);
      const to = (operation.spec.input["to"] as { readonly node: string }).node;
      const volume = rootVolumeOf(tx, instance);
      const bytes = volume?.status.usedBytes ?? (volume?.spec.sizeMiB ?? 0) * bytesPerMiB;
      const downtimeMs = instance.spec.power === "stopped" ? 0 : experience.downtimeMs(bytes);
      if (isSeen)
        moves.push({ instance: name, project, from, to, bytes, ...(downtimeMs === undefined ? {} : { downtimeMs }) });
    } catch (error) {
      if (!(error instanceof SkerryError)) throw error;
      if (isSeen) blocked.push({ instance: name, project, from, code: error.code, why: error.message });
    }
  }
  return {
    moves,
    blocked,
    hidden,
    notForeseen: queue.length - foreseen,
    bytes: moves.reduce((sum, move) => sum + move.bytes, 0),
    experience: experience.moves,
  };
}

interface Experience {
  /** How many moves it is of. */
  readonly moves: number;
  /** Undefined where there is none. */
  downtimeMs(bytes: number): number | undefined;
}

/** What moves in this zone took: the median of what they copied in a second, and of what came on top. */
function experienceOf(view: View): Experience {
  const rates: number[] = [];
  const overheads: number[] = [];
  for (const operation of view.scan("Operation")) {
    const { bytes, copyMs, downtimeMs } = resultOf(operation);
    if (bytes === undefined || copyMs === undefined || downtimeMs === undefined) continue;
    rates.push(bytes / Math.max(1, copyMs));
    overheads.push(downtimeMs - copyMs);
  }
  const [rate, overheadMs] = [median(rates), median(overheads)];
  return {
    moves: rates.length,
    downtimeMs: (bytes) =>
      rate === undefined || overheadMs === undefined || rate === 0 ? undefined : Math.round(bytes / rate + overheadMs),
  };
}

function resultOf({ spec, status }: OperationResource): { bytes?: number; copyMs?: number; downtimeMs?: number } {
  if (spec.type !== "instance.migrate" || status.state !== "succeeded") return {};
  const numbers = Object.entries(status.result ?? {}).filter(([, value]) => typeof value === "number");
  return Object.fromEntries(numbers);
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}
