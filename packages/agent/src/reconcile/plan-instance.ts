import { createHash } from "node:crypto";
import { leaseStage, type WantedInstance } from "@skerry/protocol";
import type { Guest } from "../drivers/compute.ts";
import type { Action, PluggedNic } from "./action.ts";
import { instanceKey, volumeKey } from "./action.ts";
import type { ObjectPlan } from "./plan.ts";
import { isOtherCopy, isRunning, isSameRun, settledMs, wantedVolumeOf } from "./situation.ts";
import type { Situation } from "./situation.ts";

/** A shutdown request is repeated after this long: a guest that was still booting has missed it. */
const askAgainMs = 5000;

/** The next step of one instance. */
export function planInstance(wanted: WantedInstance, situation: Situation): ObjectPlan {
  const { seen, journal } = situation;
  const { id } = wanted;
  if (seen.guests === undefined || seen.volumes === undefined) return { obstacle: "the hypervisor does not answer" };
  const record = journal.instance(id);
  const guest = seen.guests.get(id);
  if (wanted.epoch < record.epoch) {
    return { refusal: `this node holds epoch ${record.epoch}; an order of epoch ${wanted.epoch} is out of date` };
  }
  if (wanted.presence === "absent") {
    const gone = guest === undefined && record.definition === undefined;
    return gone ? {} : next(wanted, { kind: "remove-instance", id });
  }
  return guest !== undefined && isRunning(guest)
    ? planRunning(wanted, guest, situation)
    : planStopped(wanted, guest, situation);
}

function planRunning(wanted: WantedInstance, guest: Guest, situation: Situation): ObjectPlan {
  const { journal } = situation;
  const { id, epoch, generation, rebootGeneration } = wanted;
  const record = journal.instance(id);
  const startedAtMs = guest.startedAtMs ?? 0;
  const volume = wantedVolumeOf(wanted, situation.wanted);
  // It writes to a copy that is out of date and about to be replaced: nothing of it is worth a grace.
  if (volume !== undefined && isOtherCopy(volume, situation)) return next(wanted, { kind: "kill-instance", id });
  const stage = wanted.lease === undefined ? "held" : leaseStage(situation.leases.ageSeconds, wanted.lease.seconds);
  // The server may start it elsewhere soon; the guard kills it a moment later whatever happens here.
  if (stage === "over") return next(wanted, { kind: "kill-instance", id });
  if (stage === "ending") return planEnding(wanted, startedAtMs, situation);
  const mayWrite = volume === undefined || (volume.presence === "present" && volume.access === "write");
  if (wanted.power === "stopped" || !mayWrite) return planStop(wanted, "stop", startedAtMs, situation);
  if (record.rebootGeneration < rebootGeneration) {
    const restarted = record.stop?.purpose === "reboot" && !isSameRun(record.stop.startedAtMs, startedAtMs);
    return restarted
      ? next(wanted, { kind: "finish-reboot", id, rebootGeneration })
      : planStop(wanted, "reboot", startedAtMs, situation);
  }
  // The guest may still end, since it was asked to; then it is started again.
  if (record.stop !== undefined) return next(wanted, { kind: "forget-stop", id });
  const nics = pluggedNics(wanted, situation);
  const asWanted = nics !== undefined && definitionHash(wanted, nics) === record.definition;
  if (asWanted && (record.appliedGeneration !== generation || record.appliedEpoch !== epoch)) {
    return next(wanted, { kind: "adopt-instance", id, epoch, generation });
  }
  return {};
}

/** Asks the guest once, and leaves the rest to the lease's end. */
function planEnding(wanted: WantedInstance, startedAtMs: number, situation: Situation): ObjectPlan {
  const { stop } = situation.journal.instance(wanted.id);
  if (stop !== undefined && isSameRun(stop.startedAtMs, startedAtMs)) return { obstacle: noLease };
  return next(wanted, { kind: "shut-instance-down", id: wanted.id, purpose: "stop", startedAtMs });
}

/** Asks the guest, asks again, and ends it when its grace is over. */
function planStop(
  wanted: WantedInstance,
  purpose: "stop" | "reboot",
  startedAtMs: number,
  situation: Situation,
): ObjectPlan {
  const { id } = wanted;
  const graceMs = wanted.stopGraceMs ?? situation.settings.stopGraceMs;
  const ask: Action = { kind: "shut-instance-down", id, purpose, startedAtMs };
  const { stop } = situation.journal.instance(id);
  if (graceMs === 0) return next(wanted, { kind: "kill-instance", id });
  if (stop === undefined || stop.purpose !== purpose || !isSameRun(stop.startedAtMs, startedAtMs))
    return next(wanted, ask);
  const endMs = stop.sinceMs + graceMs;
  const againMs = stop.askedAtMs + askAgainMs;
  return againMs < endMs ? next(wanted, ask, againMs) : next(wanted, { kind: "kill-instance", id }, endMs);
}

function planStopped(wanted: WantedInstance, guest: Guest | undefined, situation: Situation): ObjectPlan {
  const { id, epoch, generation, rebootGeneration, power, rootVolume, lease } = wanted;
  const record = situation.journal.instance(id);
  // A guest that stands still needs no reboot; if it is to run, its start is one.
  if (record.rebootGeneration < rebootGeneration) return next(wanted, { kind: "finish-reboot", id, rebootGeneration });
  const obstacle = obstacleToRun(wanted, situation);
  if (obstacle !== undefined) return { obstacle };
  const nics = pluggedNics(wanted, situation);
  if (nics === undefined) return { obstacle: "its networks are not ready yet" };
  const definition = definitionHash(wanted, nics);
  const defined =
    guest?.epoch === epoch &&
    guest.generation === generation &&
    record.definition === definition &&
    record.appliedGeneration === generation;
  if (!defined) return next(wanted, { kind: "define-instance", instance: wanted, nics, definition });
  if (power === "stopped") return {};
  if (lease !== undefined && situation.leases.unguarded !== undefined) return { refusal: situation.leases.unguarded };
  return next(wanted, { kind: "start-instance", id, rootVolume }, startNotBefore(id, situation));
}

const noLease = "the server has not been heard from for too long to run it";

/** Why the instance may not run here now: the one guard that keeps a disk from having two writers. */
function obstacleToRun(wanted: WantedInstance, situation: Situation): string | undefined {
  const { seen, journal, leases } = situation;
  if (wanted.lease !== undefined && leaseStage(leases.ageSeconds, wanted.lease.seconds) !== "held") return noLease;
  const volume = wantedVolumeOf(wanted, situation.wanted);
  if (volume === undefined || volume.presence === "absent") return "its root volume is not wanted on this node";
  const { id } = volume;
  const record = journal.volume(id);
  const file = seen.volumes?.get(id);
  if (wanted.epoch < journal.instance(wanted.id).epoch || volume.epoch < record.epoch)
    return "its orders are out of date";
  if (volume.epoch !== wanted.epoch) return `its root volume has epoch ${volume.epoch}, and not ${wanted.epoch}`;
  if (volume.access !== "write") return "its root volume may not be written here";
  if (file?.state !== "ready") return "its root volume is not made yet";
  if (isOtherCopy(volume, situation)) return "its root volume is still to be imported anew";
  if (file.epoch !== volume.epoch || !record.made) return "its root volume has not taken the new epoch yet";
  if (record.sizeMiB < volume.sizeMiB) return "its root volume is not grown yet";
  return undefined;
}

/** The instance's interfaces with what their networks gave; undefined while one of these isn't ready. */
function pluggedNics(wanted: WantedInstance, situation: Situation): readonly PluggedNic[] | undefined {
  const nics: PluggedNic[] = [];
  for (const nic of wanted.nics) {
    const network = situation.seen.networks?.get(nic.networkId);
    if (network === undefined || !situation.memory.appliedNetworks.has(nic.networkId)) return undefined;
    nics.push({ ...nic, bridge: network.bridge, mtu: network.mtu });
  }
  return nics;
}

/** Names all that a guest is made of; a guest with the same hash need not be defined anew. */
function definitionHash(wanted: WantedInstance, nics: readonly PluggedNic[]): string {
  const { name, project, vcpus, memoryMiB, rootVolume, sshKeys, userData, devices } = wanted;
  const parts = [
    name,
    project,
    vcpus,
    memoryMiB,
    rootVolume,
    sshKeys,
    userData ?? "",
    nics.map(({ networkId, mac, address, gateway, bridge, mtu }) => [networkId, mac, address, gateway, bridge, mtu]),
    // A guest without any is named as before there were devices, and need not be defined anew.
    ...(devices === undefined ? [] : [devices]),
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Guests that keep ending soon after their start are started ever more rarely: after 1, 2, 4 … 60 seconds. */
function startNotBefore(id: string, situation: Situation): number | undefined {
  const start = situation.memory.starts.get(id);
  if (start === undefined || situation.nowMs - start.lastMs > settledMs) return undefined;
  return start.lastMs + Math.min(1000 * 2 ** (start.count - 1), settledMs);
}

function next(wanted: WantedInstance, action: Action, notBeforeMs?: number): ObjectPlan {
  const alsoHolds = [volumeKey(wanted.rootVolume)];
  return {
    next: { object: instanceKey(wanted.id), alsoHolds, action, ...(notBeforeMs === undefined ? {} : { notBeforeMs }) },
  };
}
