import { SkerryError } from "@skerry/model";
import type { View } from "@skerry/store";
import { candidateAt, idle, requestOf, violationsOn } from "../../controllers/placing.ts";
import { missingDevices } from "../../controllers/devices.ts";
import type { NodeSight } from "../node-sight.ts";
import type { OperationKind, OperationStepKind, StepContext } from "../operation-kind.ts";
import type { Random } from "../random.ts";
import { diskSeen, guestSeen, sayWhatKeeps, untilGuest, untilStopped } from "./instance-step.ts";
import {
  holdStopped,
  isLeftOn,
  letGo,
  migrationOf,
  offerVolume,
  orderImport,
  orderImportAway,
  orderSourceAway,
  settle,
  subjectOf,
  switchBack,
  switchOwner,
  withdrawOffer,
  type Migration,
} from "./migration-orders.ts";
import { nodeFailure } from "./node-failure.ts";

export interface MigrationDeps {
  readonly sight: NodeSight;
  readonly random: Random;
}

/** How long the guest gets at the target before it is taken back. */
const startLimitMs = 10 * 60_000;
/** How long the end waits for the source's last traces; they go later by themselves. */
const releaseLimitMs = 5 * 60_000;

/**
 * Moves an instance with its disk to another node while it is stopped. Before `switch` the source owns it, after it the target;
 * whatever fails until the target is proven is taken back. See docs/adr/0002-cold-migration.md.
 */
export function instanceMigrateKind(deps: MigrationDeps): OperationKind {
  return {
    type: "instance.migrate",
    deadlineMs: 60 * 60_000,
    about(operation) {
      const { instanceId, volumeId, from, to } = migrationOf(operation);
      return [instanceId, volumeId, from.nodeId, to.nodeId];
    },
    steps: () => [choose(), stop(deps), offer(deps), copy(deps), switchStep(deps), start(deps), release()],
    finish(tx, operation) {
      settle(tx, migrationOf(operation));
      return operation.status.state === "succeeded"
        ? resultOf(migrationOf(operation), operation.status.notes)
        : undefined;
    },
  };
}

/** The target was chosen, and its room kept, when the migration was asked for; nothing is stopped before both ends are there. */
function choose(): OperationStepKind {
  return {
    name: "choose",
    async run(context) {
      const { from, to } = migrationOf(context.operation);
      await context.until((store) => {
        const away = [from, to].find(({ nodeId }) => !isConnected(store, nodeId));
        context.progress({
          message:
            away === undefined ? `from ${from.node} to ${to.node}` : `waits for ${away.node}, which is not connected`,
        });
        return away === undefined;
      });
    },
    async compensate(context) {
      const migration = migrationOf(context.operation);
      await context.store.transact((tx) => settle(tx, migration));
      // An order to remove outlives the operation; a node that is away carries it out when it is back.
      await context.until(
        (store) =>
          !isLeftOn(store, migration, migration.to.nodeId) ||
          !isConnected(store, migration.to.nodeId) ||
          subjectOf(store, migration).instance.assignment.nodeId === migration.to.nodeId,
      );
    },
  };
}

function stop({ sight }: MigrationDeps): OperationStepKind {
  return {
    name: "stop",
    async run(context) {
      const migration = migrationOf(context.operation);
      if (context.notes["stopAskedMs"] === undefined) {
        const { instance } = subjectOf(context.store, migration);
        const wasRunning = instance.spec.power !== "stopped";
        const wasHealthy =
          wasRunning && instance.spec.healthCheck !== undefined && instance.status.health === "healthy";
        await context.note({ wasRunning, wasHealthy, stopAskedMs: context.nowMs() });
      }
      const { revision } = await context.store.transact((tx) => holdStopped(tx, migration));
      await untilStopped(context, sight, migration.from.nodeId, migration.instanceId, revision);
      await context.note({ stoppedMs: context.nowMs() });
    },
    async compensate(context) {
      const migration = migrationOf(context.operation);
      const { revision } = await context.store.transact((tx) => letGo(tx, migration));
      if (context.notes["wasRunning"] !== true) return;
      await context.until((store) => {
        const { assignment } = subjectOf(store, migration).instance;
        sayWhatKeeps(context, store, assignment.nodeId, `waits until it runs on ${assignment.node} again`);
        if (!isConnected(store, assignment.nodeId)) return true;
        const guest = guestSeen(sight, assignment.nodeId, migration.instanceId, assignment.epoch, revision);
        return guest?.state === "running" || guest?.state === "failed";
      });
    },
  };
}

function offer({ sight, random }: MigrationDeps): OperationStepKind {
  return {
    name: "offer",
    async run(context) {
      const migration = migrationOf(context.operation);
      const ticket = Buffer.from(random.bytes(24)).toString("base64url");
      const { revision } = await context.store.transact((tx) => offerVolume(tx, migration, ticket));
      const { nodeId, epoch } = subjectOf(context.store, migration).volume.assignment;
      const digest = await context.until((store) => {
        sayWhatKeeps(context, store, nodeId, `waits for the disk's digest on ${migration.from.node}`);
        const disk = diskSeen(sight, nodeId, migration.volumeId, epoch, revision);
        if (disk?.state === "failed") throw nodeFailure(disk, "The source's disk failed.");
        return disk?.offered === true ? disk.digest : undefined;
      });
      await context.note({ digest, copyAskedMs: context.nowMs() });
    },
    async compensate(context) {
      await context.store.transact((tx) => withdrawOffer(tx, migrationOf(context.operation)));
    },
  };
}

function copy({ sight }: MigrationDeps): OperationStepKind {
  return {
    name: "copy",
    async run(context) {
      const migration = migrationOf(context.operation);
      const { revision, result: epoch } = await context.store.transact((tx) => orderImport(tx, migration));
      const copied = await context.until((store) => {
        const { to, from } = migration;
        const disk = diskSeen(sight, to.nodeId, migration.volumeId, epoch, revision);
        const away = isConnected(store, from.nodeId) ? to : from;
        sayWhatKeeps(context, store, away.nodeId, `${from.node} to ${to.node}`);
        if (disk?.totalBytes !== undefined)
          context.progress({ done: disk.doneBytes ?? 0, total: disk.totalBytes, unit: "bytes" });
        if (disk?.state === "failed") throw nodeFailure(disk, "The target could not take the disk.");
        if (disk?.state !== "ready" || disk.digest === undefined) return undefined;
        if (disk.digest !== context.notes["digest"])
          throw new SkerryError("digest-mismatch", `${to.node} has other bytes than ${from.node}.`);
        return { bytes: disk.totalBytes ?? disk.usedBytes ?? 0, targetDigest: disk.digest };
      });
      await context.note({ ...copied, copiedMs: context.nowMs() });
    },
    async compensate(context) {
      await context.store.transact((tx) => orderImportAway(tx, migrationOf(context.operation)));
    },
  };
}

function switchStep({ sight }: MigrationDeps): OperationStepKind {
  return {
    name: "switch",
    async run(context) {
      const migration = migrationOf(context.operation);
      await context.store.transact((tx) => {
        refuseViolation(tx, migration);
        switchOwner(tx, migration, context.nowMs());
      });
    },
    async compensate(context) {
      const migration = migrationOf(context.operation);
      if (subjectOf(context.store, migration).instance.assignment.nodeId === migration.to.nodeId) {
        // A cancel may come between the switch and the start, when the target knows already that it may run the guest.
        await untilTargetHasStopped(context, sight, migration);
        await untilSourceHasIt(context, sight, migration);
      }
      await context.store.transact((tx) =>
        switchBack(tx, migration, context.notes["targetStoppedEpoch"], context.nowMs()),
      );
    },
  };
}

function start({ sight }: MigrationDeps): OperationStepKind {
  return {
    name: "start",
    limitMs: startLimitMs,
    async run(context) {
      const migration = migrationOf(context.operation);
      const { nodeId, epoch } = subjectOf(context.store, migration).instance.assignment;
      const guest = { nodeId, id: migration.instanceId, epoch };
      if (context.notes["wasHealthy"] === true) await untilGuest(context, sight, "healthy", guest);
      else if (context.notes["wasRunning"] === true) await untilGuest(context, sight, "running", guest);
      else {
        const since = context.store.revision;
        await context.until(() => guestSeen(sight, nodeId, migration.instanceId, epoch, since)?.state === "stopped");
      }
      await context.note({ servesMs: context.nowMs() });
    },
    async compensate(context) {
      const migration = migrationOf(context.operation);
      if (subjectOf(context.store, migration).instance.assignment.nodeId === migration.to.nodeId)
        await untilTargetHasStopped(context, sight, migration);
    },
  };
}

function release(): OperationStepKind {
  return {
    name: "release",
    pointOfNoReturn: true,
    async run(context) {
      const migration = migrationOf(context.operation);
      await context.store.transact((tx) => orderSourceAway(tx, migration));
      const gone = await context.within(releaseLimitMs, (store) => {
        sayWhatKeeps(context, store, migration.from.nodeId, `waits until ${migration.from.node} has removed its copy`);
        return !isLeftOn(store, migration, migration.from.nodeId);
      });
      await context.note({ sourceRemoved: gone === true });
    },
  };
}

/** Hard constraints hold in the transaction that commits the move, whatever was changed since the target was chosen. */
function refuseViolation(view: View, migration: Migration): void {
  const { instance } = subjectOf(view, migration);
  const candidate = candidateAt(view, migration.to.nodeId, idle);
  if (candidate === undefined)
    throw new SkerryError("conflict", `The node ${migration.to.node} is not there any more.`);
  const { movingTo } = instance.assignment;
  const gone = missingDevices(candidate, movingTo?.devices);
  if (gone.length > 0)
    throw new SkerryError(
      "no-placement",
      `${migration.to.node} has not what was kept for it there any more: ${gone.join(", ")}.`,
    );
  const why = violationsOn(requestOf(view, instance), candidate);
  if (why.length > 0)
    throw new SkerryError(
      "no-placement",
      `${migration.to.node} does not satisfy its constraints any more: ${why.join(", ")}.`,
    );
}

/** The target, which owns the instance, must be seen stopped before the source may have it back. */
async function untilTargetHasStopped(context: StepContext, sight: NodeSight, migration: Migration): Promise<void> {
  const { epoch } = subjectOf(context.store, migration).instance.assignment;
  const { revision } = await context.store.transact((tx) => holdStopped(tx, migration));
  await untilStopped(context, sight, migration.to.nodeId, migration.instanceId, revision);
  await context.note({ targetStoppedEpoch: epoch });
}

/** Going back is only an improvement where there is something to go back to. */
async function untilSourceHasIt(context: StepContext, sight: NodeSight, migration: Migration): Promise<void> {
  const since = context.store.revision;
  const held = subjectOf(context.store, migration).volume.assignment.copies?.find(
    (candidate) => candidate.nodeId === migration.from.nodeId,
  );
  if (held === undefined)
    throw new SkerryError(
      "conflict",
      `${migration.from.node} has no copy of the disk any more; the instance stays on ${migration.to.node}.`,
    );
  await context.until((store) => {
    sayWhatKeeps(context, store, migration.from.nodeId, `waits for the disk on ${migration.from.node}`);
    return diskSeen(sight, migration.from.nodeId, migration.volumeId, held.epoch, since)?.state === "ready";
  });
}

function isConnected(view: View, nodeId: string): boolean {
  return view.getById("Node", nodeId)?.status.connected === true;
}

/** Downtime counts from the moment at which the stop was asked for until the target was seen to serve (or to run, without a health check). */
function resultOf(migration: Migration, notes: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const span = (from: string, to: string): number | undefined => {
    const [start, end] = [notes[from], notes[to]];
    return typeof start === "number" && typeof end === "number" ? end - start : undefined;
  };
  return {
    from: migration.from.node,
    to: migration.to.node,
    ...(notes["wasRunning"] === true ? { downtimeMs: span("stopAskedMs", "servesMs") } : {}),
    stopMs: span("stopAskedMs", "stoppedMs"),
    copyMs: span("copyAskedMs", "copiedMs"),
    bytes: notes["bytes"],
    /** Of the source when it was offered, and of the target as it lay on its disk. */
    sourceDigest: notes["digest"],
    targetDigest: notes["targetDigest"],
    sourceRemoved: notes["sourceRemoved"],
  };
}
