import { isDeepStrictEqual } from "node:util";
import type { InstanceResource, OperationResource, Reference, VolumeResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { IntentContext } from "../../intents.ts";
import type { OperationEngine } from "../../operations/operation-kind.ts";
import type { Fleet } from "../fleet.ts";
import type { UsedOn } from "../allocation.ts";
import { replaceAfterOf } from "../instance-lease.ts";
import { candidateAt, fittingNode, fleetOf, idle, lacking, requestOf, violationsOn } from "../placing.ts";
import { rootVolumeOf } from "../reap.ts";
import { checkImageFits, findImage } from "../references.ts";
import { conflict, invalidField, refuseChanges } from "../refusal.ts";

/** What of a changed spec its node has to carry out. */
export type InstanceChange = "resize" | "start" | "stop" | "reboot" | "none";

const resources = ["vcpus", "memoryMiB", "diskMiB"] as const;

export function powerOf(instance: InstanceResource): "running" | "stopped" {
  return instance.spec.power ?? "running";
}

export function changeOf(before: InstanceResource, after: InstanceResource): InstanceChange {
  if (resources.some((field) => before.spec[field] !== after.spec[field])) return "resize";
  if (powerOf(before) !== powerOf(after)) return powerOf(after) === "running" ? "start" : "stop";
  return (before.spec.rebootGeneration ?? 0) === (after.spec.rebootGeneration ?? 0) ? "none" : "reboot";
}

/** @throws SkerryError conflict or invalid-request where an instance can't be changed so, with what to do instead */
export function checkChange(
  view: Transaction,
  fleet: Pick<Fleet, "requestOf" | "in">,
  used: UsedOn,
  before: InstanceResource,
  after: InstanceResource,
): void {
  const { name } = before.metadata;
  refuseDeleted(before);
  refuseChanges(before.spec, after.spec, ["runtime", "image", "networks", "devices"], "the guest was made with it");
  refuseChanges(before.spec, after.spec, ["userData", "sshKeys"], "the guest reads it at its first boot only");
  if ((after.spec.rebootGeneration ?? 0) < (before.spec.rebootGeneration ?? 0)) {
    throw invalidField("/spec/rebootGeneration", `may only rise; it is ${before.spec.rebootGeneration ?? 0}`);
  }
  if (resources.some((field) => before.spec[field] !== after.spec[field])) checkResize(view, used, before, after);
  if (replaceAfterOf(after) !== undefined && replaceAfterOf(before) === undefined) checkReplaceable(view, after);
  const isPlacedAlike = isDeepStrictEqual(before.spec.placement, after.spec.placement);
  // Labels may make it a peer of those that must be apart from it.
  if (isPlacedAlike && isDeepStrictEqual(before.metadata.labels, after.metadata.labels)) return;
  const { assignment } = after;
  const request = fleet.requestOf(view, after);
  const peers = request.affinity === undefined ? [] : fleet.in(view);
  for (const nodeId of [assignment?.nodeId, assignment?.movingTo?.nodeId]) {
    const candidate = candidateAt(view, nodeId, idle);
    if (candidate === undefined) continue;
    const why = violationsOn(request, candidate, peers);
    if (why.length === 0) continue;
    throw conflict(
      `${name} is on ${candidate.name}, where this placement would not allow it: ${why.join(", ")}.`,
      wayToPlacement(view, used, before, after, candidate.name),
    );
  }
}

/** How it gets to where a new placement allows it, in commands that its present placement lets happen. */
function wayToPlacement(
  view: View,
  used: UsedOn,
  before: InstanceResource,
  after: InstanceResource,
  present: string,
): string {
  const fleet = fleetOf(view, used);
  const [asIs, wanted] = [requestOf(view, before), requestOf(view, after)];
  const allowed = fleet.filter((candidate) => violationsOn(asIs, candidate).length === 0);
  const direct = fittingNode(allowed, wanted, [present]);
  if (direct !== undefined) return `Move it first: ${migrateCommand(before, direct)}`;
  const later = fittingNode(fleet, wanted, [present]);
  if (later === undefined) return "No node fits the new placement now; see what there is: skerry node list";
  return `Its present placement forbids to move it there. Allow both first (skerry apply -f FILE), then move it: ${migrateCommand(before, later)}, and then take the old one away.`;
}

function migrateCommand({ metadata }: InstanceResource, node: string): string {
  return `skerry instance migrate ${metadata.name} --project ${metadata.project} --to-node ${node}`;
}

/** Its image may have gone since it was made. */
function checkReplaceable(view: View, { metadata, spec }: InstanceResource): void {
  if (findImage(view, metadata.project ?? "", spec.image)?.status.state === "ready") return;
  throw conflict(
    `${metadata.name} could not be started anew on another node: its image ${spec.image} is not there any more.`,
    `Bring the image back first: skerry image create ${spec.image.replace(/^.*\//, "")} --file FILE`,
  );
}

function checkResize(view: View, used: UsedOn, before: InstanceResource, after: InstanceResource): void {
  const { name, project = "" } = before.metadata;
  const { state } = before.status;
  if (powerOf(before) === "running" || state === "running" || state === "starting" || state === "stopping") {
    throw conflict(
      `${name} is ${state}; its vCPUs, memory and disk change only while it is stopped.`,
      `Stop it first: skerry instance stop ${name} --project ${project}`,
    );
  }
  const volume = rootVolumeOf(view, before);
  const sizeMiB = volume?.spec.sizeMiB ?? 0;
  if (after.spec.diskMiB !== undefined && after.spec.diskMiB < sizeMiB) {
    throw invalidField("/spec/diskMiB", `must be at least ${sizeMiB}, the disk's present size: a disk only grows`);
  }
  const image = findImage(view, project, after.spec.image);
  if (image !== undefined) checkImageFits(image, { memoryMiB: after.spec.memoryMiB });
  const here = candidateAt(view, before.assignment?.nodeId, used);
  if (here === undefined) return;
  const need = { ...requestOf(view, after), diskMiB: after.spec.diskMiB ?? sizeMiB };
  const why = lacking(need, here, requestOf(view, before));
  if (why.length === 0) return;
  const roomy = fittingNode(fleetOf(view, used), need, [here.name]);
  throw conflict(
    `The node ${here.name} has no room for that: ${why.join("; ")}.`,
    roomy === undefined
      ? "Ask for less: no other node that it may be on has room for that either."
      : `Ask for less, or move it to a node with room first: ${migrateCommand(before, roomy)}`,
  );
}

/** A volume follows its instance's wish for more; the node grows the file. */
export function growVolume(tx: Transaction, instance: InstanceResource): void {
  const volume = rootVolumeOf(tx, instance);
  const { diskMiB } = instance.spec;
  if (volume === undefined || diskMiB === undefined || diskMiB <= volume.spec.sizeMiB) return;
  const metadata = { ...volume.metadata, generation: volume.metadata.generation + 1 };
  tx.put({ ...volume, metadata, spec: { ...volume.spec, sizeMiB: diskMiB } });
}

/** What an operation that watches an instance has to know. */
export function watchInput(instance: InstanceResource, volume: VolumeResource | undefined) {
  const running = powerOf(instance) === "running";
  return {
    instanceId: instance.metadata.id,
    ...(volume === undefined ? {} : { volumeId: volume.metadata.id }),
    ...(instance.assignment === undefined ? {} : { nodeId: instance.assignment.nodeId }),
    running,
    health: running && instance.spec.healthCheck !== undefined,
  };
}

/** Submits the operation that watches a change come true; undefined where the node has nothing to do. */
export function submitChange(
  tx: Transaction,
  engine: Pick<OperationEngine, "submit">,
  instance: InstanceResource,
  change: InstanceChange,
  context: IntentContext,
): OperationResource | undefined {
  if (change === "none") return undefined;
  return engine.submit(tx, {
    type: `instance.${change}`,
    targets: targetsOf(instance),
    actor: context.actor,
    cause: context.cause,
    input: watchInput(instance, rootVolumeOf(tx, instance)),
    replaces: change !== "resize",
  });
}

/** An operation's subject, and what else it touches: the volume of the same name and nodes. */
export function targetsOf(
  { metadata, assignment }: InstanceResource,
  ...otherNodes: readonly string[]
): [Reference, ...Reference[]] {
  const { name, project } = metadata;
  const place = project === undefined ? {} : { project };
  const nodes = [...(assignment === undefined ? [] : [assignment.node]), ...otherNodes];
  return [
    { kind: "Instance", name, ...place },
    { kind: "Volume", name, ...place },
    ...nodes.map((node) => ({ kind: "Node", name: node })),
  ];
}

export function refuseDeleted(instance: InstanceResource): void {
  if (instance.metadata.deletedAt === undefined) return;
  throw conflict(`${instance.metadata.name} is being deleted.`, "Wait until it is gone; then make a new one.");
}
