import type { Capacity } from "@skerry/model";
import { offeredBy } from "./candidate.ts";
import type { Candidate } from "./candidate.ts";

/** How full a node would be with the instance on it, each from 0 to 1. */
export interface Score {
  readonly vcpus: number;
  readonly memory: number;
  readonly disk: number;
  /** The largest of the three: what would run out first. */
  readonly use: number;
}

export function scoreOf(node: Candidate, size: Readonly<Capacity>): Score {
  const capacity = offeredBy(node);
  const { used } = node;
  const vcpus = share(used.vcpus + size.vcpus, capacity.vcpus);
  const memory = share(used.memoryMiB + size.memoryMiB, capacity.memoryMiB);
  const disk = share(used.diskMiB + size.diskMiB, capacity.diskMiB);
  return { vcpus, memory, disk, use: Math.max(vcpus, memory, disk) };
}

/** The score's `use` alone: asked of every node, so it makes no objects. */
export function useOf(node: Candidate, size: Readonly<Capacity>): number {
  const capacity = offeredBy(node);
  const { used } = node;
  return Math.max(
    share(used.vcpus + size.vcpus, capacity.vcpus),
    share(used.memoryMiB + size.memoryMiB, capacity.memoryMiB),
    share(used.diskMiB + size.diskMiB, capacity.diskMiB),
  );
}

/** Nothing used of nothing there is no use. */
function share(used: number, capacity: number): number {
  return used === 0 ? 0 : used / capacity;
}
