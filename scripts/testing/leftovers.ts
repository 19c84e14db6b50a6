import { setTimeout as delay } from "node:timers/promises";
import { readFileSync, readdirSync } from "node:fs";

const variable = "SKERRY_TEST_RUN";

/** A process that outlived the tests that started it. */
export type Leftover = { readonly pid: number; readonly command: string };

/**
 * Marks this process's future descendants through their environment, so that those which leave the process tree
 * are found too. A run inside a run keeps the outer mark, so that the outer one can still clear it away.
 */
export function markDescendants(): string {
  const mark = `${process.pid}.${Date.now()}`;
  const outer = process.env[variable];
  process.env[variable] = outer === undefined ? mark : `${outer},${mark}`;
  return mark;
}

/** Waits up to `graceMs` for the processes that carry `mark` to end, then kills and returns the rest. */
export async function clearLeftovers(mark: string, graceMs: number): Promise<Leftover[]> {
  const deadline = performance.now() + graceMs;
  let leftovers = findLeftovers(mark);
  while (leftovers.length > 0 && performance.now() < deadline) {
    await delay(50);
    leftovers = findLeftovers(mark);
  }
  for (const { pid } of leftovers) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself between the look and the signal.
    }
  }
  return leftovers;
}

/** Living processes that carry `mark`, this one excepted; empty where there is no /proc. */
function findLeftovers(mark: string): Leftover[] {
  return processIds().flatMap((pid) => {
    try {
      const marks = readFileSync(`/proc/${pid}/environ`, "utf8")
        .split("\0")
        .find((entry) => entry.startsWith(`${variable}=`))
        ?.slice(variable.length + 1)
        .split(",");
      if (marks?.includes(mark) !== true) return [];
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return command === "" ? [] : [{ pid, command }];
    } catch {
      return []; // Ended meanwhile, or another user's.
    }
  });
}

function processIds(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  } catch {
    return []; // Not Linux.
  }
}
