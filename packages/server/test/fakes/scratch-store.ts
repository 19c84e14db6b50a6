import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { kindNames } from "@skerry/model";
import { openSqliteStore, type Store } from "@skerry/store";

/** In memory where the system has such a place, for thousands of commits that need not survive anything. */
export const memoryFolder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A store in a directory of its own that goes with it. */
export async function openScratchStore(
  now: () => number,
  parent = tmpdir(),
): Promise<{ readonly store: Store; [Symbol.asyncDispose](): Promise<void> }> {
  const directory = await mkdtemp(join(parent, "skerry-test-"));
  const store = await openSqliteStore({ path: join(directory, "zone.db"), now });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Gives a suite's tests one such store, which goes after the last of them. */
export function useScratchStore(take: (store: Store) => void, now: () => number = Date.now, parent?: string): void {
  let scratch: Awaited<ReturnType<typeof openScratchStore>>;
  before(async () => {
    scratch = await openScratchStore(now, parent);
    take(scratch.store);
  });
  after(() => scratch[Symbol.asyncDispose]());
}

/** Makes room for the next run of a property over the same store. */
export async function empty(store: Store): Promise<void> {
  await store.transact((tx) => {
    for (const kind of kindNames) for (const object of tx.list(kind)) tx.delete(kind, object.metadata.id);
  });
}
