import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { loadState } from "../src/load-state.ts";
import { Packer, type PackedRows, type ReadRow } from "../src/table/page.ts";
import { organisation } from "./contract/samples.ts";

const origin = {
  store: "a test's",
  sqlCommand: (sql: string) => sql,
  tables: { objects: "objects", changes: "changes", meta: "meta" },
};

/** A row as it would be stored, its sum right. */
function row(serial: number): ReadRow {
  const object = { ...organisation(serial, `o-${serial}`) };
  const stored = { ...object, metadata: { ...object.metadata, revision: serial } };
  const { id, name } = stored.metadata;
  const body = JSON.stringify(stored);
  const sum = crc32(`Organisation\0${id}\0\0${name}\0${serial}\0${body}`);
  return ["Organisation", id, null, name, serial, body, sum];
}

test("rows that keep coming, more than there can be, are refused as damage", { timeout: 20_000 }, async () => {
  let serial = 0;
  const packer = new Packer();
  const endless = (): Promise<PackedRows> => Promise.resolve(packer.pack([row(++serial)]));
  await assert.rejects(loadState(origin, 1_000_000, endless, { count: 3, sum: 0 }), /should have 3: it is damaged/);
});
