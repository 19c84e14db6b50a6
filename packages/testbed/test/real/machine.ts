import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { listGroups } from "../../src/control-group.ts";
import { listNamespaces } from "../../src/network.ts";

/** Everything on this machine that a testbed with these directories can have made, looked up without the testbed's own records. */
export async function traces(directories: readonly string[]): Promise<readonly string[]> {
  const mentions = (text: string): boolean => directories.some((directory) => text.includes(directory));
  const found: string[] = [];
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n"))
    if (mentions(line)) found.push(`mount ${line}`);
  for (const name of await listNamespaces()) found.push(`namespace ${name}`);
  for (const name of await listGroups()) found.push(`group ${name}`);
  if (existsSync("/sys/class/net/sk-wan0")) found.push("interface sk-wan0");
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const commandLine = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    const groups = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
    // A zombie has no command line and belongs to the group it died in; it is only waiting to be counted.
    if (commandLine !== "" && (mentions(commandLine) || groups.includes("skerry-testbed")))
      found.push(`process ${pid} ${commandLine}`);
  }
  for (const directory of directories.filter((one) => existsSync(one))) found.push(`directory ${directory}`);
  return found;
}

/** Repeats an attempt until it returns something, and throws its last error when the deadline passes. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const value = await attempt();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 100));
  } while (Date.now() < deadline);
  throw new Error(`${what} did not happen within ${timeoutMs} ms`, { cause: last });
}
