import { readdir, readFile } from "node:fs/promises";

/** Clock ticks per second in /proc, on every architecture that Linux offers to user space today. */
const ticksPerSecond = 100;

/** The QEMU process of a guest, found by the name that libvirt gives it; undefined where there is none. */
export async function findGuestProcess(id: string): Promise<number | undefined> {
  const entries = await readdir("/proc");
  for (const entry of entries) {
    if (!/^\d+$/.test(entry)) continue;
    const text = await readIfThere(`/proc/${entry}/cmdline`);
    const words = text.split("\0");
    const name = words[words.indexOf("-name") + 1] ?? "";
    if (words.includes("-name") && name.split(",")[0] === `guest=${id}`) return Number(entry);
  }
  return undefined;
}

/** Milliseconds since 1970 at which a process started, to 10 ms; undefined where it is gone. */
export async function processStartMs(pid: number): Promise<number | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  // The second field is a name in brackets that may hold anything.
  const startTicks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const boot = /^btime (\d+)$/m.exec(await readFile("/proc/stat", "utf8"))?.[1];
  if (stat === "" || boot === undefined) return undefined;
  return Number(boot) * 1000 + (startTicks / ticksPerSecond) * 1000;
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch {
    return ""; // Processes end while one looks.
  }
}
