import { SkerryError, type InstanceResource, type InstanceState, type OperationResource } from "@skerry/model";
import type { ObservedInstance, ObservedVolume } from "@skerry/protocol";
import type { View } from "@skerry/store";
import type { NodeSight } from "../node-sight.ts";
import type { StepContext, WatchContext } from "../operation-kind.ts";
import { nodeFailure } from "./node-failure.ts";

/* What steps that work on an instance have in common. */

/** The instance that an operation was submitted for, by id: another one of the same name is none of its business. @throws SkerryError not-found */
export function instanceOf(view: View, operation: OperationResource): InstanceResource {
  const found = view.getById("Instance", String(operation.spec.input["instanceId"]));
  if (found === undefined)
    throw new SkerryError("not-found", `The instance ${operation.spec.targets[0]?.name} is not there any more.`);
  return found;
}

/** @throws SkerryError not-found, or conflict for an instance that has no node */
export function assignedInstance(view: View, operation: OperationResource) {
  const instance = instanceOf(view, operation);
  const { assignment } = instance;
  if (assignment === undefined) throw new SkerryError("conflict", `${instance.metadata.name} is assigned to no node.`);
  return { instance, assignment };
}

/** What a node last reported of an instance, if that report knows what was wanted at `since` and is of this epoch. */
export function guestSeen(
  sight: NodeSight,
  nodeId: string,
  id: string,
  epoch: number,
  since: number,
): ObservedInstance | undefined {
  if (!sight.answers(nodeId, since)) return undefined;
  return sight.report(nodeId)?.instances.find((guest) => guest.id === id && guest.epoch === epoch);
}

export function diskSeen(
  sight: NodeSight,
  nodeId: string,
  id: string,
  epoch: number,
  since: number,
): ObservedVolume | undefined {
  if (!sight.answers(nodeId, since)) return undefined;
  return sight.report(nodeId)?.volumes.find((disk) => disk.id === id && disk.epoch === epoch);
}

/** Sights of a guest that may be waited for: that it runs, and that its health check passes too. */
export const goals = {
  running: { message: "waits for the guest to run", isThere: (guest: ObservedInstance) => guest.state === "running" },
  healthy: {
    message: "waits for the health check to pass",
    isThere: (guest: ObservedInstance) => guest.state === "running" && guest.health === "healthy",
  },
} as const;

type Speaker = Pick<WatchContext, "operation" | "progress">;

/** The guest of that epoch, once it is so. @throws SkerryError node-driver-failed or storage-full, with the node's words */
export function guestThere(
  context: Speaker & Pick<WatchContext, "store" | "since">,
  sight: NodeSight,
  goal: keyof typeof goals,
  { nodeId, id, epoch }: { readonly nodeId: string; readonly id: string; readonly epoch: number },
): ObservedInstance | undefined {
  const { message, isThere } = goals[goal];
  sayWhatKeeps(context, context.store, nodeId, message);
  const guest = guestSeen(sight, nodeId, id, epoch, context.since);
  if (guest?.state === "failed") throw nodeFailure(guest, "The guest failed.");
  return guest !== undefined && isThere(guest) ? guest : undefined;
}

/** Waits for that. */
export async function untilGuest(
  context: StepContext,
  sight: NodeSight,
  goal: keyof typeof goals,
  guest: Parameters<typeof guestThere>[3],
): Promise<ObservedInstance> {
  const since = context.store.revision;
  return context.until((store) => guestThere({ ...context, store, since }, sight, goal, guest));
}

const mayHaveProcess: ReadonlySet<InstanceState> = new Set(["starting", "running", "stopping"]);

/** Whether the node itself has seen the guest not running, after it knew that this was wanted. */
export function isStopped(
  context: Speaker & Pick<WatchContext, "store" | "since">,
  sight: NodeSight,
  nodeId: string,
  id: string,
): boolean {
  sayWhatKeeps(context, context.store, nodeId, "waits for the guest to stop");
  if (!sight.answers(nodeId, context.since)) return false;
  const guest = sight.report(nodeId)?.instances.find((candidate) => candidate.id === id);
  return guest === undefined || !mayHaveProcess.has(guest.state);
}

/** Waits for that. */
export async function untilStopped(
  context: StepContext,
  sight: NodeSight,
  nodeId: string,
  id: string,
  since: number,
): Promise<void> {
  await context.until((store) => isStopped({ ...context, store, since }, sight, nodeId, id));
}

/** Tells people what a step waits for, above all a node that is away, and what that fails at. */
export function sayWhatKeeps(context: Speaker, view: View, nodeId: string, message: string): void {
  const { assignment, status } = view.getById("Instance", String(context.operation.spec.input["instanceId"])) ?? {};
  const failing = status?.conditions.find(({ type, state }) => type === "Failing" && state === "true");
  const trouble = assignment?.nodeId === nodeId && failing?.message !== undefined ? `; ${failing.message}` : "";
  context.progress({ message: `${whatKeeps(view, nodeId, message)}${trouble}`.slice(0, 1024) });
}

/** The same of a step that is about to begin on the instance's node; undefined where there is none. */
export function openingOf(
  view: View,
  operation: OperationResource,
  message: (node: string) => string,
): string | undefined {
  const { assignment } = view.getById("Instance", String(operation.spec.input["instanceId"])) ?? {};
  return assignment === undefined ? undefined : whatKeeps(view, assignment.nodeId, message(assignment.node));
}

function whatKeeps(view: View, nodeId: string, message: string): string {
  const node = view.getById("Node", nodeId);
  const away = node !== undefined && !node.status.connected;
  return away ? `${message}; node ${node.metadata.name} is not connected` : message;
}
