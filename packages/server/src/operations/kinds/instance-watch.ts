import type { OperationResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { orderRemoval } from "../../controllers/intents/instance-removal.ts";
import { rootVolumeOf } from "../../controllers/reap.ts";
import type { NodeSight } from "../node-sight.ts";
import type { OperationKind, OperationStepKind } from "../operation-kind.ts";
import {
  assignedInstance,
  diskSeen,
  goals,
  guestSeen,
  guestThere,
  instanceOf,
  isStopped,
  openingOf,
  sayWhatKeeps,
} from "./instance-step.ts";
import { nodeFailure } from "./node-failure.ts";

/*
 * Operations that ask nothing themselves: the intent has written what is wanted, nodes make it true, and these watch it come
 * true so that a person can wait for it. Another wish replaces them.
 */

const minuteMs = 60_000;

export function instanceWatchKinds(sight: NodeSight): readonly OperationKind[] {
  const steps = watchSteps(sight);
  const start = (operation: OperationResource) => [
    ...(operation.spec.input["running"] === true ? [steps.start] : []),
    ...(operation.spec.input["health"] === true ? [steps.healthy] : []),
  ];
  const watch = (type: string, deadlineMs: number, stepsOf: OperationKind["steps"]): OperationKind => ({
    type,
    deadlineMs,
    replaceable: true,
    about: idsOf,
    steps: stepsOf,
    finish: whereItIs,
  });
  return [
    watch("instance.create", 30 * minuteMs, (operation) => [steps.materialise, ...start(operation)]),
    watch("instance.start", 15 * minuteMs, start),
    watch("instance.stop", 5 * minuteMs, () => [steps.stop]),
    watch("instance.reboot", 15 * minuteMs, (operation) => [
      steps.reboot,
      ...(operation.spec.input["health"] === true ? [steps.healthy] : []),
    ]),
    watch("instance.resize", 15 * minuteMs, (operation) => [steps.resize, ...start(operation)]),
  ];
}

function idsOf({ spec }: OperationResource): readonly string[] | undefined {
  const ids = [spec.input["instanceId"], spec.input["volumeId"], spec.input["nodeId"]];
  return ids.includes(undefined) ? undefined : ids.map(String);
}

function watchSteps(sight: NodeSight) {
  const waitsForDisk = (node: string): string => `waits for the disk on ${node}`;
  const materialise: OperationStepKind = {
    name: "materialise",
    opening: (view, operation) => openingOf(view, operation, waitsForDisk),
    isThere(context) {
      const { store, since } = context;
      const { instance, assignment } = assignedInstance(store, context.operation);
      const volume = rootVolumeOf(store, instance);
      sayWhatKeeps(context, store, assignment.nodeId, waitsForDisk(assignment.node));
      if (volume?.assignment === undefined) return false;
      const disk = diskSeen(sight, assignment.nodeId, volume.metadata.id, volume.assignment.epoch, since);
      if (disk?.state === "failed") throw nodeFailure(disk, "The node could not make the disk.");
      if (disk?.totalBytes !== undefined)
        context.progress({ done: disk.doneBytes ?? 0, total: disk.totalBytes, unit: "bytes" });
      return disk?.state === "ready";
    },
    /** Someone who cancels a creation does not want the instance; a creation that fails leaves it there to be looked at. */
    async compensate(context) {
      if (context.operation.status.cancelRequestedAt === undefined) return;
      const { operation, store } = context;
      await store.transact((tx) => {
        const instance = tx.getById("Instance", String(operation.spec.input["instanceId"]));
        if (instance !== undefined) orderRemoval(tx, instance, context.nowMs());
      });
      await context.until((view) => view.getById("Instance", String(operation.spec.input["instanceId"])) === undefined);
    },
  };
  const until = (name: string, goal: keyof typeof goals): OperationStepKind => ({
    name,
    opening: (view, operation) => openingOf(view, operation, () => goals[goal].message),
    isThere(context) {
      const { instance, assignment } = assignedInstance(context.store, context.operation);
      const { nodeId, epoch } = assignment;
      return guestThere(context, sight, goal, { nodeId, id: instance.metadata.id, epoch }) !== undefined;
    },
  });
  const start = until("start", "running");
  const healthy = until("healthy", "healthy");
  const stop: OperationStepKind = {
    name: "stop",
    isThere(context) {
      const { instance, assignment } = assignedInstance(context.store, context.operation);
      return isStopped(context, sight, assignment.nodeId, instance.metadata.id);
    },
  };
  const reboot: OperationStepKind = {
    name: "reboot",
    isThere(context) {
      const { store, since } = context;
      const { instance, assignment } = assignedInstance(store, context.operation);
      sayWhatKeeps(context, store, assignment.nodeId, "waits for the guest to reboot");
      const guest = guestSeen(sight, assignment.nodeId, instance.metadata.id, assignment.epoch, since);
      if (guest?.state === "failed") throw nodeFailure(guest, "The guest failed.");
      return guest?.state === "running" && guest.rebootGeneration >= (instance.spec.rebootGeneration ?? 0);
    },
  };
  const resize: OperationStepKind = {
    name: "resize",
    isThere(context) {
      const { store, since } = context;
      const { instance, assignment } = assignedInstance(store, context.operation);
      sayWhatKeeps(context, store, assignment.nodeId, "waits for the new size");
      const guest = guestSeen(sight, assignment.nodeId, instance.metadata.id, assignment.epoch, since);
      const volume = rootVolumeOf(store, instance);
      const disk = sight.report(assignment.nodeId)?.volumes.find(({ id }) => id === volume?.metadata.id);
      const failed = [guest, disk].find((seen) => seen?.state === "failed" && seen.error !== undefined);
      if (failed !== undefined) throw nodeFailure(failed, "The node could not do it.");
      return guest !== undefined && guest.generation >= instance.metadata.generation;
    },
  };
  return { materialise, start, healthy, stop, reboot, resize };
}

function whereItIs(tx: Transaction, operation: OperationResource): Readonly<Record<string, unknown>> | undefined {
  if (operation.status.state !== "succeeded") return undefined;
  const { assignment, status } = instanceOf(tx, operation);
  const addresses = status.addresses.map(({ address }) => address);
  return { node: assignment?.node, addresses, ...(status.bootMs === undefined ? {} : { bootMs: status.bootMs }) };
}
