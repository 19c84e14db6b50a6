import { Type, type Static } from "typebox";
import { Id, optional, strict } from "@skerry/model";
import { WantedInstance, WantedNetwork, WantedPeer, WantedState, WantedVolume } from "./wanted.ts";

/** What makes one wanted state of a node from the one that was sent before it; costs what changed, not what the node has. */
export const WantedChange = strict({
  /** Of the state that this changes. */
  since: Type.Integer({ minimum: 0 }),
  revision: Type.Integer({ minimum: 0 }),
  /** Whole, where anything of it changed. */
  surroundings: optional(
    strict({ node: WantedState.properties.node, peers: Type.Array(WantedPeer), networks: Type.Array(WantedNetwork) }),
  ),
  /** New ones and those that are wanted otherwise. */
  volumes: Type.Array(WantedVolume),
  instances: Type.Array(WantedInstance),
  /** Ids of volumes and instances that are not mentioned any more; they may never have been. */
  unmentioned: Type.Array(Id),
});
export type WantedChange = Static<typeof WantedChange>;

/** The state that a change leads to, as the server has it. @param state the one of revision `change.since` */
export function changedWanted(state: WantedState, change: WantedChange): WantedState {
  const gone = new Set(change.unmentioned);
  return {
    revision: change.revision,
    ...(change.surroundings ?? { node: state.node, peers: state.peers, networks: state.networks }),
    volumes: merged(state.volumes, change.volumes, gone),
    instances: merged(state.instances, change.instances, gone),
  };
}

/** In order of ids. */
function merged<T extends { readonly id: string }>(
  before: readonly T[],
  changed: readonly T[],
  gone: ReadonlySet<string>,
): T[] {
  if (changed.length === 0 && gone.size === 0) return [...before];
  const byId = new Map(before.map((one) => [one.id, one]));
  for (const one of changed) byId.set(one.id, one);
  for (const id of gone) byId.delete(id);
  return [...byId.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}
