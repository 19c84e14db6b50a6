import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { SkerryError } from "@skerry/model";

/**
 * Holds the machine's one place for a demo on real hosts until disposed of; a demo that was killed holds it no more.
 * @throws SkerryError busy where another demo runs, which it names
 */
export async function lockDemo(path: string): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    try {
      const file = await open(path, "wx", 0o644);
      await file.writeFile(`${process.pid}\n`);
      await file.close();
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = Number(await readFile(path, "utf8").catch(() => ""));
    if (await isDemo(holder)) {
      throw new SkerryError("busy", `A demo runs on this machine already, as process ${holder}.`, {
        remedy: `Use that one, or end it: Ctrl-C there, or kill ${holder}; it takes everything down.`,
        facts: { pid: holder },
      });
    }
    await rm(path, { force: true });
  }
}

async function isDemo(pid: number): Promise<boolean> {
  if (!Number.isInteger(pid) || pid < 1) return false;
  const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  return words.includes("demo");
}
