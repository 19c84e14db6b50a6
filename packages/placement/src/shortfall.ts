import { freeOn, type Candidate } from "./candidate.ts";
import type { PlacementRequest } from "./request.ts";
import { memory } from "./wording.ts";

/** What a node has too little of for a request, each as `100 vCPU asked, 8 vCPU free`; empty where it has room. */
export function shortfalls(request: PlacementRequest, candidate: Candidate): readonly string[] {
  const free = freeOn(candidate);
  const short = (asked: number, has: number, print: (value: number) => string, noun: string): string[] =>
    has >= asked ? [] : [`${print(asked)}${noun} asked, ${print(Math.max(0, has))} free`];
  // Rounded, the two could read the same.
  const size = (asked: number, has: number) => (value: number) =>
    memory(asked) === memory(has) ? `${value} MiB` : memory(value);
  return [
    ...short(request.vcpus, free.vcpus, (value) => `${value} vCPU`, ""),
    ...short(request.memoryMiB, free.memoryMiB, size(request.memoryMiB, free.memoryMiB), " of memory"),
    ...short(request.diskMiB, free.diskMiB, size(request.diskMiB, free.diskMiB), " of disk"),
  ];
}
