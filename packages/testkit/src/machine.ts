import { arch, cpus, release, totalmem } from "node:os";

/** What a figure was measured on, for reports of benchmarks. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? "",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    architecture: arch(),
    node: process.version,
  };
}
