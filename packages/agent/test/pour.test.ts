import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, test } from "node:test";
import { pour } from "../src/pour.ts";

const never = new AbortController().signal;

describe("pouring a source into what writes it", () => {
  test("tells how many bytes there are in all, and gives what the writer gives", async () => {
    const told: number[] = [];
    const pouring = { startBytes: 10, stallMs: 60_000, onBytes: (bytes: number) => void told.push(bytes) };
    const source = Readable.from([Buffer.alloc(3), Buffer.alloc(4)]);
    const written = await pour(source, pouring, async (bytes) => (await buffer(bytes)).length, never);
    assert.deepEqual([written, told], [7, [13, 17]]);
  });

  test("gives up a source that falls silent, and both ends have ended then", async () => {
    const source = new PassThrough();
    source.write("the beginning");
    const pouring = { startBytes: 0, stallMs: 20, onBytes: () => undefined };
    let ended = false;
    const write = async (bytes: Readable): Promise<void> => {
      await buffer(bytes).finally(() => (ended = true));
    };
    await assert.rejects(pour(source, pouring, write, never), /nothing arrived for 20 ms/);
    assert.deepEqual([source.destroyed, ended], [true, true]);
  });

  test("fails with what the count is refused for", async () => {
    const pouring = {
      startBytes: 0,
      stallMs: 60_000,
      onBytes() {
        throw new Error("too many");
      },
    };
    await assert.rejects(
      pour(Readable.from([Buffer.alloc(1)]), pouring, (bytes) => buffer(bytes), never),
      /too many/,
    );
  });
});
