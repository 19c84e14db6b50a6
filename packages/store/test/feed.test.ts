import assert from "node:assert/strict";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { Feed } from "../src/feed.ts";
import type { ChangeEvent } from "../src/store.ts";
import { instance } from "./contract/samples.ts";

function change(revision: number): ChangeEvent {
  const object = instance(revision, `i-${revision}`);
  const { id, project, name } = object.metadata;
  return { revision, kind: "Instance", id, project, name, type: "created", object, json: JSON.stringify(object) };
}

test("a log that was trimmed between the look and the read is found out, and no change is skipped", async () => {
  const log = {
    commit: () => Promise.resolve(),
    read: () => Promise.resolve([change(5), change(6)]),
    close: () => Promise.resolve(),
  };
  const feed = new Feed(log, 6, 100, 0);
  const iterator = feed.changes(0, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
  await assert.rejects(iterator.next(), (error) => error instanceof SkerryError && error.code === "revision-too-old");
});

test("a log that has lost its end is found out, and not asked for it for ever", { timeout: 20_000 }, async () => {
  const log = { commit: () => Promise.resolve(), read: () => Promise.resolve([]), close: () => Promise.resolve() };
  const feed = new Feed(log, 6, 100, 0);
  const iterator = feed.changes(3, AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
  await assert.rejects(iterator.next(), (error) => error instanceof SkerryError && error.code === "revision-too-old");
});
