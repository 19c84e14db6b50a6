import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { ImageCache } from "../src/images/image-cache.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;
const ignore = (): void => undefined;

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A server with one image; `pieces` are what its answers give, one after the other. */
function sourceOf(answers: readonly ((offset: number) => Readable)[]) {
  const offsets: number[] = [];
  return {
    offsets,
    open: async (_digest: string, offset: number) => {
      offsets.push(offset);
      const answer = answers[Math.min(offsets.length, answers.length) - 1];
      if (answer === undefined) throw new Error("no answer is prepared");
      return answer(offset);
    },
  };
}

test("an image is downloaded once for all who need it at the same time, and verified again for those who come later", async () => {
  await using folder = await temporaryFolder();
  const bytes = randomBytes(200_000);
  const source = sourceOf([
    (offset) => Readable.from([bytes.subarray(offset, 100_000), bytes.subarray(Math.max(offset, 100_000))]),
  ]);
  const cache = await ImageCache.open(folder.path, source);
  const paths = await Promise.all([1, 2, 3].map(() => cache.get(digestOf(bytes), bytes.length, ignore, never)));
  assert.deepEqual(source.offsets, [0]);
  assert.equal(new Set(paths).size, 1);
  assert.ok((await readFile(paths[0] ?? "")).equals(bytes));
  await writeFile(paths[0] ?? "", randomBytes(200_000));
  const again = await cache.get(digestOf(bytes), bytes.length, ignore, never);
  assert.deepEqual(source.offsets, [0, 0], "a file that rotted is fetched anew");
  assert.ok((await readFile(again)).equals(bytes));
});

test("a download that was cut goes on where it was", async () => {
  await using folder = await temporaryFolder();
  const bytes = randomBytes(200_000);
  const source = sourceOf([
    () => Readable.from([bytes.subarray(0, 70_000)]),
    (offset) => Readable.from([bytes.subarray(offset)]),
  ]);
  const cache = await ImageCache.open(folder.path, source);
  await assert.rejects(cache.get(digestOf(bytes), bytes.length, ignore, never), /ended after 70000 of 200000/);
  const seen: number[] = [];
  await cache.get(digestOf(bytes), bytes.length, (done) => seen.push(done), never);
  assert.deepEqual(source.offsets, [0, 70_000]);
  assert.equal(seen[0], 70_000);
  assert.equal(seen.at(-1), 200_000);
});

test("an image with another digest is dropped, and one that is longer than said is stopped", async () => {
  await using folder = await temporaryFolder();
  const bytes = randomBytes(10_000);
  const wrong = await ImageCache.open(folder.path, sourceOf([() => Readable.from([randomBytes(10_000)])]));
  await assert.rejects(
    wrong.get(digestOf(bytes), bytes.length, ignore, never),
    (error) => error instanceof SkerryError && error.code === "digest-mismatch",
  );
  assert.deepEqual(await readdir(folder.path), []);
  const long = await ImageCache.open(folder.path, sourceOf([() => Readable.from([bytes, bytes])]));
  await assert.rejects(
    long.get(digestOf(bytes), bytes.length, ignore, never),
    (error) => error instanceof SkerryError && error.code === "too-large",
  );
});

test("a download ends when the last of those who wait for it leaves, and can be taken up again", async () => {
  await using folder = await temporaryFolder();
  const bytes = randomBytes(10_000);
  const stalled = new Readable({ read: () => undefined });
  const source = sourceOf([() => stalled, (offset) => Readable.from([bytes.subarray(offset)])]);
  const cache = await ImageCache.open(folder.path, source);
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [first, second].map(({ signal }) => cache.get(digestOf(bytes), bytes.length, ignore, signal));
  first.abort(new Error("first leaves"));
  await assert.rejects(waits[0] ?? Promise.resolve(), /first leaves/);
  assert.equal(stalled.destroyed, false);
  second.abort(new Error("second leaves"));
  await assert.rejects(waits[1] ?? Promise.resolve(), /second leaves/);
  const path = await cache.get(digestOf(bytes), bytes.length, ignore, never);
  assert.equal(stalled.destroyed, true);
  assert.ok((await readFile(path)).equals(bytes));
});
