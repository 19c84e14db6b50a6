import {
  SkerryError,
  type HeldDevice,
  type InstanceResource,
  type OperationResource,
  type PlacementDecision,
  type VolumeAssignment,
  type VolumeResource,
} from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { timestamp } from "../clock.ts";

/*
 * The orders that a cold migration gives, each one transaction over the instance's and the volume's assignment, each safe to
 * repeat. Why exactly one copy can run is argued in docs/adr/0002-cold-migration.md; in short: only the node of the instance's
 * assignment is ever told to run it, the assignment changes only while the operation holds the instance stopped and the
 * node that had it was itself seen stopped in knowledge of that, and every change of owner raises the epoch.
 */

export interface Place {
  readonly node: string;
  readonly nodeId: string;
}

export interface Migration {
  readonly operationId: string;
  readonly instanceId: string;
  readonly volumeId: string;
  readonly from: Place;
  readonly to: Place;
  readonly reason: string;
  /** Not of operations that an older version has begun. */
  readonly decision?: PlacementDecision;
}

export interface Subject {
  readonly instance: InstanceResource & { readonly assignment: NonNullable<InstanceResource["assignment"]> };
  readonly volume: VolumeResource & { readonly assignment: VolumeAssignment };
}

export function migrationOf(operation: OperationResource): Migration {
  const input = operation.spec.input as unknown as Omit<Migration, "operationId">;
  return { ...input, operationId: operation.metadata.id };
}

/** The instance and its volume, which have the same owner and epoch at all times. @throws SkerryError not-found */
export function subjectOf(view: View, migration: Migration): Subject {
  const instance = view.getById("Instance", migration.instanceId);
  const volume = view.getById("Volume", migration.volumeId);
  if (instance?.assignment === undefined || volume?.assignment === undefined) {
    throw new SkerryError("not-found", "The instance is not there any more.");
  }
  return {
    instance: { ...instance, assignment: instance.assignment },
    volume: { ...volume, assignment: volume.assignment },
  };
}

/** From here on whoever owns the instance keeps it stopped. */
export function holdStopped(tx: Transaction, migration: Migration): void {
  const { instance } = subjectOf(tx, migration);
  if (instance.assignment.heldBy === migration.operationId) return;
  tx.put({ ...instance, assignment: { ...instance.assignment, heldBy: migration.operationId } });
}

/** Lets the owner do again what the spec says. */
export function letGo(tx: Transaction, migration: Migration): void {
  const { instance } = subjectOf(tx, migration);
  if (instance.assignment.heldBy !== migration.operationId) return;
  const { heldBy: _over, ...assignment } = instance.assignment;
  tx.put({ ...instance, assignment });
}

/** The owner computes the disk's digest and serves it to the target. */
export function offerVolume(tx: Transaction, migration: Migration, ticket: string): void {
  const { volume } = subjectOf(tx, migration);
  if (volume.assignment.offeredTo?.nodeId === migration.to.nodeId) return;
  tx.put({ ...volume, assignment: { ...volume.assignment, offeredTo: { nodeId: migration.to.nodeId, ticket } } });
}

export function withdrawOffer(tx: Transaction, migration: Migration): void {
  const { volume } = subjectOf(tx, migration);
  if (volume.assignment.offeredTo === undefined) return;
  const { offeredTo: _withdrawn, ...assignment } = volume.assignment;
  tx.put({ ...volume, assignment });
}

/** The target fills a copy at the next epoch. Returns that epoch. */
export function orderImport(tx: Transaction, migration: Migration): number {
  const { volume } = subjectOf(tx, migration);
  const { copies = [], epoch } = volume.assignment;
  const present = copies.find((copy) => copy.nodeId === migration.to.nodeId);
  if (present?.purpose === "import") return present.epoch;
  if (present?.purpose === "remove") {
    throw new SkerryError("conflict", `${migration.to.node} still has an earlier copy of the disk.`, {
      remedy: "Try again once it is gone.",
    });
  }
  const copy = { ...migration.to, epoch: epoch + 1, purpose: "import" as const, since: tx.revision };
  tx.put({
    ...volume,
    assignment: { ...volume.assignment, copies: [...copies.filter((other) => other !== present), copy] },
  });
  return copy.epoch;
}

/**
 * The target's unfinished copy must go, and the owner's epoch rises above it, so that no epoch is ever given twice. Does
 * nothing where the target has become the owner.
 */
export function orderImportAway(tx: Transaction, migration: Migration): void {
  const { instance, volume } = subjectOf(tx, migration);
  const { copies = [] } = volume.assignment;
  const unfinished = copies.find((copy) => copy.nodeId === migration.to.nodeId && copy.purpose === "import");
  if (unfinished === undefined) return;
  const epoch = unfinished.epoch + 1;
  const since = tx.revision;
  const kept = copies.map((copy) => (copy === unfinished ? { ...copy, purpose: "remove" as const, since } : copy));
  tx.put({ ...volume, assignment: { ...volume.assignment, copies: kept, epoch } });
  tx.put({ ...instance, assignment: { ...instance.assignment, epoch } });
}

/**
 * The switch: the target owns instance and disk from here on, at the copy's epoch, and may run; the source keeps its disk
 * untouched. Requires that the source was seen stopped while held.
 */
export function switchOwner(tx: Transaction, migration: Migration, nowMs: number): void {
  const { instance, volume } = subjectOf(tx, migration);
  const { from, to } = migration;
  if (instance.assignment.nodeId === to.nodeId) return;
  const imported = volume.assignment.copies?.find((copy) => copy.nodeId === to.nodeId && copy.purpose === "import");
  if (
    instance.assignment.heldBy !== migration.operationId ||
    instance.assignment.nodeId !== from.nodeId ||
    imported === undefined
  ) {
    throw new SkerryError("conflict", "The instance is not where its migration left it; its owner stays as it is.");
  }
  const { epoch } = imported;
  const since = timestamp(nowMs);
  const { heldBy: _over, decision: _old, devices: had, ...left } = instance.assignment;
  const devices = left.movingTo?.devices;
  const former = [
    ...(left.former ?? []).filter((place) => place.nodeId !== to.nodeId),
    { ...from, epoch: left.epoch, since: tx.revision, ...withDevices(had) },
  ];
  const kept = { ...from, epoch: volume.assignment.epoch, purpose: "hold" as const, since: tx.revision };
  const copies = [...(volume.assignment.copies ?? []).filter((copy) => copy !== imported), kept];
  const decision = migration.decision === undefined ? {} : { decision: migration.decision };
  const assignment = {
    ...left,
    ...to,
    ...{ epoch, since, reason: migration.reason, ...decision, former },
    ...withDevices(devices),
    // It may go back, whoever asks for such meanwhile.
    ...(had === undefined ? {} : { leaving: { nodeId: from.nodeId, devices: had } }),
  };
  tx.put({ ...instance, assignment, status: withoutPlace(instance.status) });
  tx.put({ ...volume, assignment: { ...to, epoch, since, reason: migration.reason, filled: true, copies } });
}

function withDevices(devices: HeldDevice[] | undefined): { readonly devices?: HeldDevice[] } {
  return devices === undefined ? {} : { devices };
}

/** What is told of its place is the old node's, until the new one reports. */
function withoutPlace({
  site: _left,
  provider: _its,
  ...status
}: InstanceResource["status"]): InstanceResource["status"] {
  return status;
}

/**
 * Takes the switch back: the source owns again, at a higher epoch than the target had, still held; the target's copy must go.
 * Requires that the target was seen stopped while held, at `stoppedEpoch`, and that the source still has its disk.
 */
export function switchBack(tx: Transaction, migration: Migration, stoppedEpoch: unknown, nowMs: number): void {
  const { instance, volume } = subjectOf(tx, migration);
  const { from, to } = migration;
  if (instance.assignment.nodeId === from.nodeId) return;
  if (instance.assignment.heldBy !== migration.operationId || stoppedEpoch !== instance.assignment.epoch) {
    throw new SkerryError(
      "node-disconnected",
      `${to.node} was not seen to have stopped the instance, so it stays there.`,
      {
        remedy: "Bring the node back; the instance runs there as soon as it is.",
      },
    );
  }
  const epoch = instance.assignment.epoch + 1;
  const since = timestamp(nowMs);
  const reason = `back from ${to.node}, where it did not become healthy`;
  const { devices: had, leaving, decision: _there, ...here } = instance.assignment;
  const former = [
    ...(here.former ?? []).filter((place) => place.nodeId !== from.nodeId),
    { ...to, epoch: here.epoch, since: tx.revision, ...withDevices(had) },
  ];
  const copies = [
    ...(volume.assignment.copies ?? []).filter((copy) => copy.nodeId !== from.nodeId),
    { ...to, epoch: volume.assignment.epoch, purpose: "remove" as const, since: tx.revision },
  ];
  const assignment = { ...here, ...from, ...withDevices(leaving?.devices), epoch, since, reason, former };
  tx.put({ ...instance, assignment, status: withoutPlace(instance.status) });
  tx.put({ ...volume, assignment: { ...from, epoch, since, reason, filled: true, copies } });
}

/** The source's copy must go: the target is proven. */
export function orderSourceAway(tx: Transaction, migration: Migration): void {
  const { volume } = subjectOf(tx, migration);
  const { copies = [] } = volume.assignment;
  const held = copies.some((copy) => copy.nodeId === migration.from.nodeId && copy.purpose === "hold");
  if (!held) return;
  const since = tx.revision;
  const ordered = copies.map((copy) =>
    copy.nodeId === migration.from.nodeId ? { ...copy, purpose: "remove" as const, since } : copy,
  );
  tx.put({ ...volume, assignment: { ...volume.assignment, copies: ordered } });
}

/** Whether anything of the instance is left, or may be, on a node that does not own it. */
export function isLeftOn(view: View, migration: Migration, nodeId: string): boolean {
  const { instance, volume } = subjectOf(view, migration);
  const copy = volume.assignment.copies?.some((candidate) => candidate.nodeId === nodeId) === true;
  return copy || instance.assignment.former?.some((place) => place.nodeId === nodeId) === true;
}

/** At the end, however it came: nothing waits for this operation any more. Whoever owns the instance may run it. */
export function settle(tx: Transaction, migration: Migration): void {
  const instance = tx.getById("Instance", migration.instanceId);
  if (instance?.assignment === undefined || tx.getById("Volume", migration.volumeId)?.assignment === undefined) return;
  orderImportAway(tx, migration);
  withdrawOffer(tx, migration);
  letGo(tx, migration);
  const current = subjectOf(tx, migration).instance;
  const { movingTo, leaving, ...assignment } = current.assignment;
  if (movingTo !== undefined || leaving !== undefined) tx.put({ ...current, assignment });
}
