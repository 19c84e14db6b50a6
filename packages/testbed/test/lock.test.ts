import assert from "node:assert/strict";
import { test } from "node:test";
import { lockTestbed } from "../src/lock.ts";
import { TestbedError } from "../src/testbed.ts";

test("the lock is held once, names its holder, and is free again after it was disposed", async () => {
  const name = `\0skerry-testbed-test-${process.pid}`;
  const first = await lockTestbed(name);
  await assert.rejects(
    lockTestbed(name),
    (error: unknown) => error instanceof TestbedError && error.message.includes(`pid ${process.pid})`),
  );
  await first[Symbol.asyncDispose]();
  await using _second = await lockTestbed(name);
});
