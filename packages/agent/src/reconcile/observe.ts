import { SkerryError } from "@skerry/model";
import type { ErrorCode } from "@skerry/model";
import {
  mostOfError,
  mostOfRemedy,
  type ObservedInstance,
  type ObservedNetwork,
  type ObservedState,
  type ObservedVolume,
  type WantedInstance,
} from "@skerry/protocol";
import { isDiskFull } from "../disk-full.ts";
import type { Action, ObjectKey } from "./action.ts";
import { instanceKey, networkKey, volumeKey } from "./action.ts";
import type { ObjectPlan } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { isOtherCopy, isRunning, isSameRun } from "./situation.ts";
import type { Situation } from "./situation.ts";

/** Why an object's last action failed. */
export interface Failure {
  readonly message: string;
  readonly code: ErrorCode | undefined;
  readonly remedy: string | undefined;
}

/** What the agent is busy with, beside what it sees. */
export interface Activity {
  readonly plans: ReadonlyMap<string, ObjectPlan>;
  readonly running: (object: ObjectKey) => Action["kind"] | undefined;
  readonly failure: (object: ObjectKey) => Failure | undefined;
  readonly progress: (volumeId: string) => Progress | undefined;
  readonly isOffered: (volumeId: string) => boolean;
  readonly health: (instanceId: string) => ObservedInstance["health"];
}

export type ObservedObjects = Pick<ObservedState, "networks" | "volumes" | "instances">;

/** Failures that trying again won't mend: something must be changed first. */
const lastingCodes: readonly (ErrorCode | undefined)[] = [
  "invalid-request",
  "conflict",
  "digest-mismatch",
  "too-large",
  "storage-full",
];

/** What the server is told, of everything that it mentioned and of everything else that is here. */
export function observe(situation: Situation, activity: Activity): ObservedObjects {
  const { wanted, seen } = situation;
  const ids = (mentioned: readonly { readonly id: string }[], here: Iterable<string>): string[] => [
    ...new Set([...mentioned.map(({ id }) => id), ...here]),
  ];
  return {
    networks: ids(wanted.networks, seen.networks?.keys() ?? []).map((id) => observeNetwork(id, situation, activity)),
    volumes: ids(wanted.volumes, seen.volumes?.keys() ?? []).map((id) => observeVolume(id, situation, activity)),
    instances: ids(wanted.instances, seen.guests?.keys() ?? []).map((id) => observeInstance(id, situation, activity)),
  };
}

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof SkerryError ? error : undefined;
  const code = known?.code ?? (isDiskFull(error) ? "storage-full" : undefined);
  return { message, code, remedy: known?.remedy };
}

/** As much of an error as a report may hold: hypervisors quote whole logs. */
function cut(error: string | undefined): string | undefined {
  return error?.slice(0, mostOfError);
}

/** What programs and people do about a failure, as a report has it. */
export function explanation(failure: Failure | undefined): { errorCode?: string; remedy?: string } {
  return {
    ...(failure?.code === undefined ? {} : { errorCode: failure.code }),
    ...(failure?.remedy === undefined ? {} : { remedy: failure.remedy.slice(0, mostOfRemedy) }),
  };
}

function observeNetwork(id: string, situation: Situation, activity: Activity): ObservedNetwork {
  const { seen, memory } = situation;
  const network = seen.networks?.get(id);
  const failure = activity.failure(networkKey(id));
  const error = cut(failure?.message ?? activity.failure("overlay")?.message);
  const isWanted = situation.wanted.networks.some((each) => each.id === id && each.presence === "present");
  const ready = network !== undefined && (!isWanted || memory.appliedNetworks.has(id));
  return {
    id,
    state: failure !== undefined ? "failed" : ready ? "ready" : "absent",
    ...(network === undefined ? {} : { mtu: network.mtu }),
    ...(error === undefined ? {} : { error }),
  };
}

function observeVolume(id: string, situation: Situation, activity: Activity): ObservedVolume {
  const { wanted, seen, journal } = situation;
  const record = journal.volume(id);
  const file = seen.volumes?.get(id);
  const failure = activity.failure(volumeKey(id));
  const refusal = activity.plans.get(volumeKey(id))?.refusal;
  const order = wanted.volumes.find((volume) => volume.id === id);
  const progress = activity.progress(id);
  const error = cut(refusal ?? failure?.message);
  const whole = file?.state === "ready" && (order === undefined || !isOtherCopy(order, situation));
  const lasting = refusal !== undefined || (failure !== undefined && lastingCodes.includes(failure.code));
  const state = (): ObservedVolume["state"] => {
    if (whole) return "ready";
    if (file === undefined && (order === undefined || order.presence === "absent")) return "absent";
    if (lasting) return "failed";
    return order?.origin.kind === "import" ? "importing" : "creating";
  };
  return {
    id,
    epoch: whole ? file.epoch : record.epoch,
    state: state(),
    ...(progress === undefined || whole ? {} : progress),
    ...(file === undefined ? {} : { usedBytes: file.usedBytes }),
    ...(whole && record.digest !== undefined ? { digest: record.digest } : {}),
    ...(activity.isOffered(id) ? { offered: true } : {}),
    ...(error === undefined ? {} : { error }),
    ...(refusal === undefined ? explanation(failure) : {}),
  };
}

function observeInstance(id: string, situation: Situation, activity: Activity): ObservedInstance {
  const { wanted, seen, journal } = situation;
  const record = journal.instance(id);
  const guest = seen.guests?.get(id);
  const order = wanted.instances.find((instance) => instance.id === id);
  const failure = activity.failure(instanceKey(id));
  const refusal = activity.plans.get(instanceKey(id))?.refusal;
  const running = isRunning(guest);
  const endings = running ? 0 : (situation.memory.starts.get(id)?.count ?? 0);
  const ending =
    endings > 1
      ? `the guest ended by itself soon after each of ${endings} starts; it is started again ever more rarely`
      : undefined;
  const error = cut(refusal ?? failure?.message ?? guest?.error ?? ending);
  const startedAtMs = running ? guest?.startedAtMs : undefined;
  const boot =
    record.boot !== undefined && startedAtMs !== undefined && isSameRun(record.boot.startedAtMs, startedAtMs)
      ? record.boot
      : undefined;
  return {
    id,
    // While it stands still, the epoch says below which one this node will never start it again.
    epoch: running ? record.appliedEpoch || (guest?.epoch ?? 0) : Math.max(record.epoch, guest?.epoch ?? 0),
    generation: record.appliedGeneration || (guest?.generation ?? 0),
    state: stateOf(id, order, situation, activity),
    health: running ? activity.health(id) : "unknown",
    ...(startedAtMs === undefined ? {} : { startedAt: new Date(startedAtMs).toISOString() }),
    ...(boot === undefined ? {} : { bootMs: boot.bootMs }),
    rebootGeneration: record.rebootGeneration,
    ...(order?.lease === undefined || order.presence === "absent" || situation.leases.unguarded !== undefined
      ? {}
      : { leaseSeconds: order.lease.seconds }),
    ...(error === undefined ? {} : { error }),
    ...(refusal === undefined ? explanation(failure) : {}),
  };
}

function stateOf(
  id: string,
  order: WantedInstance | undefined,
  situation: Situation,
  activity: Activity,
): ObservedInstance["state"] {
  const { seen, journal } = situation;
  const guest = seen.guests?.get(id);
  const record = journal.instance(id);
  const object = instanceKey(id);
  if (
    guest?.state === "stopping" ||
    (guest?.state === "running" &&
      record.stop !== undefined &&
      isSameRun(record.stop.startedAtMs, guest.startedAtMs ?? 0))
  ) {
    return "stopping";
  }
  if (guest?.state === "running") return "running";
  if (activity.running(object) === "start-instance") return "starting";
  if (order?.presence === "absent")
    return guest === undefined && record.definition === undefined ? "absent" : "stopped";
  const troubled =
    activity.failure(object) !== undefined ||
    activity.plans.get(object)?.refusal !== undefined ||
    guest?.state === "failed";
  if (troubled) return "failed";
  if (order?.power === "running") return "pending";
  // What was never defined is not yet made, unless its disk is held elsewhere or not to be written.
  const disk = order === undefined ? undefined : seen.volumes?.get(order.rootVolume);
  return guest === undefined && disk?.state !== "ready" ? "pending" : "stopped";
}
