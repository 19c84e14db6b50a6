import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { ImageCache } from "../src/images/image-cache.ts";
import { openJournal } from "../src/journal/journal.ts";
import { Housekeeping } from "../src/reconcile/housekeeping.ts";
import { newId } from "./contract/ids.ts";
import { wantedInstance, wantedVolume, wish } from "./gateway/wishes.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;
const hourMs = 3_600_000;
const quiet = {
  info: () => undefined,
  warn: () => undefined,
  error: (facts: object) => assert.fail(JSON.stringify(facts)),
};
const nothingSeen = { guests: new Map(), volumes: new Map(), networks: new Map() };
const noImages = { prune: async () => 0 };
const plenty = async (): Promise<number> => 0.5;

test("the journal forgets what was neither wanted nor here for a day, and nothing else", async () => {
  await using folder = await temporaryFolder();
  const nodeId = newId("nod");
  const [kept, here, gone] = [wantedVolume(), wantedVolume(), wantedVolume({ epoch: 7 })];
  const [guest, goneGuest] = [wantedInstance(kept.id), wantedInstance(gone.id)];
  let nowMs = 1000 * hourMs;
  {
    using journal = openJournal(folder.path);
    journal.accept(wish(nodeId, { volumes: [kept, here, gone], instances: [guest, goneGuest] }));
    journal.accept(wish(nodeId, { volumes: [kept], instances: [guest] }));
    const housekeeping = new Housekeeping({
      journal,
      images: noImages,
      freePart: plenty,
      nowMs: () => nowMs,
      log: quiet,
    });
    const seen = {
      ...nothingSeen,
      volumes: new Map([[here.id, { id: here.id, state: "ready", epoch: 1, usedBytes: 1 } as const]]),
    };
    housekeeping.tidy(seen);
    // It comes back in between: the day begins anew.
    nowMs += 20 * hourMs;
    housekeeping.tidy({ ...seen, guests: new Map([[goneGuest.id, {} as never]]) });
    nowMs += 5 * hourMs;
    housekeeping.tidy({ ...seen, volumes: undefined });
    assert.deepEqual(journal.volumeIds().length, 3, "a look that failed says nothing");
    housekeeping.tidy(seen);
    assert.deepEqual(new Set(journal.volumeIds()), new Set([kept.id, here.id]));
    assert.deepEqual(new Set(journal.instanceIds()), new Set([guest.id, goneGuest.id]));
    assert.equal(journal.volume(gone.id).epoch, 0);
    nowMs += 25 * hourMs;
    housekeeping.tidy(seen);
    await housekeeping.settled();
  }
  using journal = openJournal(folder.path);
  assert.deepEqual(new Set(journal.volumeIds()), new Set([kept.id, here.id]));
  assert.deepEqual(journal.instanceIds(), [guest.id]);
});

test("images go that nobody asked for in a week, sooner where the disk is short, and never what is wanted or fetched", async () => {
  await using folder = await temporaryFolder();
  const contents = [randomBytes(1000), randomBytes(2000), randomBytes(3000), randomBytes(4000)];
  const digests = contents.map((bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  const [wantedDigest = "", oldDigest = "", recentDigest = "", fetchedDigest = ""] = digests;
  const arrival = Promise.withResolvers<void>();
  const images = await ImageCache.open(join(folder.path, "images"), {
    open: async (digest) => {
      if (digest === fetchedDigest) await arrival.promise;
      return Readable.from([contents[digests.indexOf(digest)] ?? Buffer.alloc(0)]);
    },
  });
  const ageTo = async (digest: string, hours: number): Promise<void> => {
    const then = new Date(Date.now() - hours * hourMs);
    const name = (await readdir(join(folder.path, "images"))).find((each) => each.startsWith(digest.slice(7))) ?? "";
    await utimes(join(folder.path, "images", name), then, then);
  };
  for (const index of [0, 1, 2]) {
    await images.get(digests[index] ?? "", contents[index]?.length ?? 0, () => undefined, never);
    await ageTo(digests[index] ?? "", index === 2 ? 24 : 8 * 24);
  }
  const fetching = images.get(fetchedDigest, 4000, () => undefined, never);
  while ((await readdir(join(folder.path, "images"))).length < 4) await new Promise((resolve) => setImmediate(resolve));
  await ageTo(fetchedDigest, 8 * 24);

  using journal = openJournal(folder.path);
  const origin = { kind: "image", digest: wantedDigest, sizeBytes: 1000, format: "raw" } as const;
  journal.accept(wish(newId("nod"), { volumes: [wantedVolume({ origin })] }));
  let free = 0.5;
  let nowMs = Date.now();
  const housekeeping = new Housekeeping({
    journal,
    images,
    freePart: async () => free,
    nowMs: () => nowMs,
    log: quiet,
  });
  const left = async (): Promise<boolean[]> => {
    const names = await readdir(join(folder.path, "images"));
    return [wantedDigest, oldDigest, recentDigest, fetchedDigest].map((digest) =>
      names.some((name) => name.startsWith(digest.slice(7))),
    );
  };
  housekeeping.tidy(nothingSeen);
  await housekeeping.settled();
  assert.deepEqual(await left(), [true, false, true, true]);
  free = 0.05;
  nowMs += 2 * hourMs;
  housekeeping.tidy(nothingSeen);
  await housekeeping.settled();
  assert.deepEqual(await left(), [true, false, false, true]);
  arrival.resolve();
  await fetching;
  await ageTo(wantedDigest, 8 * 24);
  await images.get(wantedDigest, 1000, () => undefined, never);
  assert.equal(await images.prune(() => false, hourMs, Date.now()), 0, "what was just asked for is in use");
});
