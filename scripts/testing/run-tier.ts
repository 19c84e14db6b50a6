import { relative } from "node:path";
import { inspect } from "node:util";
import { checkout } from "../checkout.ts";
import { clearLeftovers, markDescendants } from "./leftovers.ts";
import { formatFile } from "./report.ts";
import type { Totals } from "./report.ts";
import { runTestFile, stopCause } from "./test-file.ts";
import type { FileResult } from "./test-file.ts";
import type { Tier } from "./tier.ts";

/**
 * Runs a tier's files within its budget and reports each as it ends. What still runs at the end of the budget, and
 * whatever process outlives the tier, is killed and counted as a failure.
 */
export async function runTier(
  tier: Tier,
  files: readonly string[],
  write: (line: string) => void,
  signal: AbortSignal,
): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  const budget = AbortSignal.timeout(tier.budgetMs);
  const stop = AbortSignal.any([signal, budget]);
  const queue = [...files];

  const report = (result: FileResult): void => {
    totals.passed += result.passed;
    totals.failed += result.failures.length;
    totals.skipped += result.skipped;
    write(formatFile(tier.name, result));
  };
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (stop.aborted) {
        const failures = [{ path: [], error: `not started: ${stopCause(stop)}` }];
        report({ file, durationMs: 0, passed: 0, skipped: 0, failures, output: "" });
      } else {
        report(await runTestFile(file, stop));
      }
    }
  };

  try {
    await tier.prepare?.(write, stop);
  } catch (error) {
    // The files run all the same: most need only a part of it, and each says what it misses.
    totals.failed += 1;
    write(`FAIL ${tier.name.padEnd(7)} preparing this machine\n${inspect(error)}`);
  }
  // From here on: a daemon that a package started while it was installed may stay.
  const mark = markDescendants();
  // A file's run ends with the abort, before its process does; the wait below is for what cleans up after SIGTERM.
  await Promise.all(Array.from({ length: tier.concurrency }, work));
  for (const { pid, command } of await clearLeftovers(mark, tier.graceMs)) {
    totals.failed += 1;
    write(`FAIL ${tier.name.padEnd(7)} left a process behind, now killed: ${pid} ${command.slice(0, 160)}`);
  }
  return totals;
}

/** Counts files that can't run here as skipped, one each, since their tests are unknown until they run. */
export function skipTier(tier: Tier, files: readonly string[], reason: string, write: (line: string) => void): Totals {
  for (const file of files) write(`skip ${tier.name.padEnd(7)} ${relative(checkout, file)}  ${reason}`);
  return { passed: 0, failed: 0, skipped: files.length };
}
