import type { Condition, KindName, ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import { timestamp } from "../operations/clock.ts";

/*
 * What is seen of an instance is as old as its node's last word. That is true of all that a node has at once, so it is told in
 * replies and never stored: a node that is lost costs one write, however much it has.
 */

/** Silence beyond this many heartbeats is told; after three the node counts as away. */
const quietHeartbeats = 2;

/** What is known of the link to one node. */
export interface NodeHeard {
  readonly linked: boolean;
  /** Milliseconds since it last reported, whatever the wall clock does; undefined where that is only stored. */
  readonly silentMs: number | undefined;
}

/** That a node is not heard now, as a condition of what is on it; undefined where it is. Looks the node up only then. */
export function unreachableCondition(
  view: View,
  nodeId: string,
  { linked, silentMs }: NodeHeard,
  heartbeatMs: number,
  nowMs: number,
): Condition | undefined {
  const isQuiet = (ms: number) => ms > quietHeartbeats * heartbeatMs;
  if (linked && silentMs !== undefined && !isQuiet(silentMs)) return undefined;
  const node = view.getById("Node", nodeId);
  if (node === undefined) return undefined;
  const { conditions, seenAt } = node.status;
  const ageMs = silentMs ?? (seenAt === undefined ? undefined : nowMs - Date.parse(seenAt));
  if (linked && ageMs !== undefined && !isQuiet(ageMs)) return undefined;
  const last = ageMs === undefined ? "has not been heard yet" : `was last heard ${ageOf(ageMs)} ago`;
  const message = `Node ${node.metadata.name} ${last}: what is told here is as of then.`;
  const since = ageMs === undefined ? node.metadata.createdAt : timestamp(nowMs - ageMs);
  // One whose link hangs counts as away before the link is cut.
  if (linked && node.status.connected)
    return { type: "Reachable", state: "unknown", reason: "NodeSilent", message, changedAt: since };
  const away = conditions.find(({ type, state }) => type === "Ready" && state === "false")?.changedAt;
  return { type: "Reachable", state: "false", reason: "NodeDisconnected", message, changedAt: away ?? since };
}

/** The same as far as it is stored: silence is told once the leader has recorded it. */
export function storedUnreachable(view: View, nodeId: string, nowMs: number): Condition | undefined {
  const linked = view.getById("Node", nodeId)?.status.connected !== false;
  return linked ? undefined : unreachableCondition(view, nodeId, { linked, silentMs: undefined }, Infinity, nowMs);
}

function ageOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 120
    ? `${seconds} s`
    : seconds < 7200
      ? `${Math.floor(seconds / 60)} min`
      : `${Math.floor(seconds / 3600)} h`;
}

/** A resource with the condition, for replies. */
export function withReachability<R extends ResourceOf<KindName>>(
  resource: R,
  unreachable: (nodeId: string) => Condition | undefined,
): R {
  if (resource.kind !== "Instance" && resource.kind !== "Volume") return resource;
  const { assignment, status } = resource;
  const condition = assignment === undefined ? undefined : unreachable(assignment.nodeId);
  if (condition === undefined) return resource;
  return { ...resource, status: { ...status, conditions: [condition, ...status.conditions] } };
}
