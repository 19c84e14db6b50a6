import assert from "node:assert/strict";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { nodeFailure } from "../../src/operations/kinds/node-failure.ts";
import { mayRetry } from "../../src/operations/retry.ts";

test("a node's full disk ends an operation as such, with the remedy; other failures keep the node's words", () => {
  const full = nodeFailure({ error: "The disk is full.", errorCode: "storage-full", remedy: "Free space." }, "x");
  assert.deepEqual([full.code, full.message, full.remedy], ["storage-full", "The disk is full.", "Free space."]);
  assert.ok(mayRetry(full, 7) && !mayRetry(full, 8));
  assert.ok(mayRetry(new SkerryError("storage-full", "The server's own disk is full."), 100));
  const other = nodeFailure({ error: "Odd.", errorCode: "unauthenticated" }, "x");
  assert.deepEqual([other.code, other.message, other.remedy], ["node-driver-failed", "Odd.", undefined]);
  assert.equal(nodeFailure({}, "The guest failed.").message, "The guest failed.");
});
