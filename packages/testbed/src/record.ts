import { readFile, rename, writeFile } from "node:fs/promises";
import type { TestbedOptions } from "./testbed.ts";
import type { TreeLayers } from "./tree.ts";

/**
 * What a bringUp writes down before it touches anything and again when all is up. It only tells which options the
 * testbed was made with; what exists is always looked up by name.
 */
export interface TestbedRecord {
  readonly version: 1;
  readonly options: TestbedOptions;
  /** Layers under the hosts' disks, known once all is up: a disk stays on the layers that it began with. */
  readonly complete?: TreeLayers;
}

const recordName = "testbed.json";

export async function readRecord(stateDir: string): Promise<TestbedRecord | undefined> {
  const text = await readFile(`${stateDir}/${recordName}`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseRecord(text);
}

/** A record that is not whole and well formed counts as none: its testbed is then a leftover. */
export function parseRecord(text: string): TestbedRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // cut off by a crash
  }
  if (!isObject(value) || value.version !== 1 || !isObject(value.options)) return undefined;
  const { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } = value.options;
  if (typeof stateDir !== "string" || typeof cacheDir !== "string") return undefined;
  if (typeof providers !== "number" || typeof nodesPerProvider !== "number" || typeof wanDelayMs !== "number")
    return undefined;
  const options = { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs };
  if (value.complete === undefined) return { version: 1, options };
  if (!isObject(value.complete)) return undefined;
  const { bare, hypervisor } = value.complete;
  return isPaths(bare) && isPaths(hypervisor) ? { version: 1, options, complete: { bare, hypervisor } } : undefined;
}

/** Writes the record whole or not at all; without layers the testbed counts as incomplete. */
export async function writeRecord(options: TestbedOptions, complete?: TreeLayers): Promise<void> {
  const { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } = options;
  const record: TestbedRecord = {
    version: 1,
    options: { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs },
    ...(complete === undefined ? {} : { complete }),
  };
  const path = `${stateDir}/${recordName}`;
  await writeFile(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

function isPaths(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((path) => typeof path === "string");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
