import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { listGroups } from "./control-group.ts";
import { listNamespaces } from "./network.ts";
import { TestbedError, type TestbedOptions } from "./testbed.ts";

/** Names of namespaces and addresses are the machine's, so that a machine has one testbed; this file says whose it is. */
const ownerPath = "/run/skerry/testbed-owner.json";

/** Directories of the testbed that was last brought up on this machine. */
export interface TestbedOwner {
  readonly stateDir: string;
  readonly cacheDir: string;
}

/** Throws a TestbedError when another state directory's testbed, or what is left of it, is on this machine. */
export async function refuseForeignOwner(options: TestbedOptions): Promise<void> {
  const owner = await readOwner();
  if (owner === undefined || owner.stateDir === options.stateDir) return;
  if ((await listGroups()).length === 0 && (await listNamespaces()).length === 0) return;
  throw new TestbedError(
    `this machine's testbed belongs to the state directory ${owner.stateDir}`,
    `A machine has one testbed: use that directory, or take it down first with its own options (state directory ${owner.stateDir}, cache directory ${owner.cacheDir}).`,
  );
}

export async function writeOwner(options: TestbedOptions): Promise<void> {
  await mkdir("/run/skerry", { recursive: true, mode: 0o755 });
  await writeFile(ownerPath, `${JSON.stringify({ stateDir: options.stateDir, cacheDir: options.cacheDir })}\n`);
}

export async function removeOwner(): Promise<void> {
  await rm(ownerPath, { force: true });
}

/** Whose testbed this machine has; undefined when none was recorded. */
export async function readOwner(): Promise<TestbedOwner | undefined> {
  const text = await readFile(ownerPath, "utf8").catch(() => "");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    if (!("stateDir" in value) || typeof value.stateDir !== "string") return undefined;
    if (!("cacheDir" in value) || typeof value.cacheDir !== "string") return undefined;
    return { stateDir: value.stateDir, cacheDir: value.cacheDir };
  } catch {
    return undefined; // absent, or cut off by a crash: what exists is found by name anyway
  }
}
