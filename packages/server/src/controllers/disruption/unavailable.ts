import type { InstanceResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { powerOf } from "../intents/instance-change.ts";

/** Whether it counts for disruption budgets: what is being deleted, or is to be stopped, is nobody's loss. */
export function isWanted(instance: InstanceResource): boolean {
  return instance.metadata.deletedAt === undefined && powerOf(instance) === "running";
}

/** Whether a move is under way. */
export function isMoving({ assignment }: InstanceResource): boolean {
  return assignment?.movingTo !== undefined || assignment?.heldBy !== undefined;
}

/**
 * Whether an instance that is to run does not serve, or is about to be stopped by a move: of each move from the transaction that
 * begins it until the guest was seen to run, and to be healthy where it has a health check.
 */
export function isUnavailable(view: View, { assignment, spec, status }: InstanceResource): boolean {
  if (assignment === undefined || assignment.heldBy !== undefined) return true;
  const { movingTo, nodeId } = assignment;
  if (movingTo !== undefined && movingTo.nodeId !== nodeId) return true;
  if (status.state !== "running") return true;
  if (spec.healthCheck !== undefined && status.health !== "healthy") return true;
  return view.getById("Node", nodeId)?.status.connected !== true;
}
