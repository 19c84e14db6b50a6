import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeFailure } from "../../src/operations/kinds/node-failure.ts";

test("a node's full disk ends an operation as such, with the remedy; other failures keep the node's words", () => {
  const full = nodeFailure({ error: "The disk is full.", errorCode: "storage-full", remedy: "Free space." }, "x");
  assert.deepEqual([full.code, full.message, full.remedy], ["storage-full", "The disk is full.", "Free space."]);
  const other = nodeFailure({ error: "Odd.", errorCode: "unauthenticated" }, "x");
  assert.deepEqual([other.code, other.message, other.remedy], ["node-driver-failed", "Odd.", undefined]);
  assert.equal(nodeFailure({}, "The guest failed.").message, "The guest failed.");
});
