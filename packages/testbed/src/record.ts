import { readFile, rename, writeFile } from "node:fs/promises";
import type { TestbedOptions } from "./testbed.ts";

/**
 * What a bringUp writes down before it touches anything and again when all is up. It only tells which options the
 * testbed was made with; what exists is always looked up by name.
 */
export interface TestbedRecord {
  readonly version: 1;
  readonly complete: boolean;
  readonly options: TestbedOptions;
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
  if (!isObject(value) || value.version !== 1 || typeof value.complete !== "boolean" || !isObject(value.options)) return undefined;
  const { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } = value.options;
  if (typeof stateDir !== "string" || typeof cacheDir !== "string") return undefined;
  if (typeof providers !== "number" || typeof nodesPerProvider !== "number" || typeof wanDelayMs !== "number") return undefined;
  return { version: 1, complete: value.complete, options: { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } };
}

export async function writeRecord(options: TestbedOptions, complete: boolean): Promise<void> {
  const { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } = options;
  const record: TestbedRecord = { version: 1, complete, options: { stateDir, cacheDir, providers, nodesPerProvider, wanDelayMs } };
  const path = `${stateDir}/${recordName}`;
  await writeFile(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
