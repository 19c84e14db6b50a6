import { SkerryError, type NodeResource, type OperationResource, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import type { Passenger, Pace } from "./convoy.ts";

export const emptied = ["Node", "Site", "Provider"] as const;
/** What can be emptied. */
export type Emptied = (typeof emptied)[number];

/** What an evacuation was asked for. */
export interface EvacuationInput extends Pace {
  readonly kind: Emptied;
  readonly id: string;
  /** Whether the request that began it also made the cordon, which then goes with it when it is taken back. */
  readonly cordoned: boolean;
}

export function evacuationOf({ spec }: OperationResource): EvacuationInput {
  return spec.input as unknown as EvacuationInput;
}

export function emptiedIn(
  view: View,
  { kind, id }: Pick<EvacuationInput, "kind" | "id">,
): ResourceOf<Emptied> | undefined {
  return view.getById(kind, id);
}

/** The nodes of what is to be emptied. */
export function nodesOf(view: View, subject: ResourceOf<Emptied>): readonly NodeResource[] {
  switch (subject.kind) {
    case "Node":
      return [subject];
    case "Site":
      return view.list("Node").filter(({ spec }) => spec.site === subject.metadata.name);
    case "Provider": {
      const sites = view.list("Site").filter(({ spec }) => spec.provider === subject.metadata.name);
      const names = new Set(sites.map(({ metadata }) => metadata.name));
      return view.list("Node").filter(({ spec }) => names.has(spec.site));
    }
  }
}

/** What finds instances by node; see FleetView. */
export interface Residents {
  instanceIdsOn(nodeId: string): readonly string[];
}

/** Who is on these nodes, or on the way there, in order of project and name. */
export function residentsOf(view: View, residents: Residents, nodes: readonly NodeResource[]): readonly Passenger[] {
  const there = new Set(nodes.map(({ metadata }) => metadata.id));
  const ids = new Set([...there].flatMap((nodeId) => residents.instanceIdsOn(nodeId)));
  return [...ids]
    .flatMap((id) => view.getById("Instance", id) ?? [])
    .filter(({ assignment }) => {
      if (assignment === undefined) return false;
      const { nodeId, movingTo, removal } = assignment;
      return (there.has(nodeId) && removal?.done !== true) || there.has(movingTo?.nodeId ?? "");
    })
    .map((instance) => ({ instance, place: `${instance.metadata.project} ${instance.metadata.name}` }))
    .sort((one, other) => (one.place < other.place ? -1 : 1))
    .map(({ instance }) => ({ instance }));
}

/** @throws SkerryError not-found where it is gone, conflict where somebody lets instances come there again */
export function stillCordoned(view: View, operation: OperationResource): ResourceOf<Emptied> {
  const subject = emptiedIn(view, evacuationOf(operation));
  const name = operation.spec.targets[0]?.name ?? "?";
  if (subject === undefined) throw new SkerryError("not-found", `${name} is not there any more.`);
  if (subject.spec.schedulable !== false)
    throw new SkerryError("conflict", `${name} was uncordoned: instances may come there again.`, {
      remedy: "Ask for it anew; that cordons it again.",
    });
  return subject;
}
