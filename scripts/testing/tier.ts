import { globSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative, resolve, sep } from "node:path";
import { checkout } from "../checkout.ts";
import { prepareRealMachine, realObstacle } from "./real-machine.ts";

/** A class of tests that share a time budget and a way to run. */
export type Tier = {
  readonly name: "unit" | "real" | "nightly";
  readonly budgetMs: number;
  /** How long processes that outlive the tier's files may clean up before they are killed. */
  readonly graceMs: number;
  /** Files at once; real guests share two cores and fixed names, so they run one by one. */
  readonly concurrency: number;
  /** Why this machine can't run the tier, or undefined where it can. */
  readonly obstacle: () => string | undefined;
  /** Installs what the tier's tests need; its time counts within the budget. */
  readonly prepare?: (write: (line: string) => void, signal: AbortSignal) => Promise<void>;
};

const real = { concurrency: 1, graceMs: 15_000, obstacle: realObstacle, prepare: prepareRealMachine } as const;

const minuteMs = 60_000;

export const tiers: readonly Tier[] = [
  {
    name: "unit",
    // A third of it on a machine that does nothing else; a noisy one takes two to three times as long.
    budgetMs: 18 * minuteMs,
    graceMs: 5_000,
    concurrency: Math.max(2, availableParallelism()),
    obstacle: () => undefined,
  },
  { name: "real", budgetMs: 30 * minuteMs, ...real },
  { name: "nightly", budgetMs: 150 * minuteMs, ...real },
];

/** The tier that a test file's folder puts it in. */
export function tierOf(file: string): Tier["name"] {
  const folders = relative(checkout, file).split(sep);
  if (folders.includes("nightly")) return "nightly";
  return folders.includes("real") ? "real" : "unit";
}

/** All test files of the checkout, absolute and sorted; `paths` (files or folders, relative to `cwd`) narrows them. */
export function findTests(paths: readonly string[], cwd: string): string[] {
  const all = globSync("{packages/*,scripts}/test/**/*.test.ts", { cwd: checkout })
    .map((file) => resolve(checkout, file))
    .toSorted();
  if (paths.length === 0) return all;
  const wanted = paths.map((path) => resolve(cwd, path));
  for (const path of wanted) {
    // A misspelt path would otherwise pass by running nothing.
    if (statSync(path, { throwIfNoEntry: false }) === undefined) throw new Error(`no such file or folder: ${path}`);
  }
  return all.filter((file) => wanted.some((path) => file === path || file.startsWith(path + sep)));
}
