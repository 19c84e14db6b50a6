import type { TestContext } from "node:test";
import type { Store } from "@skerry/store";

export interface OpenOptions {
  readonly keepChanges?: number;
  readonly now?: () => number;
}

/** Where one store is kept; opening it again finds what it holds. */
export interface Place {
  open(options?: OpenOptions): Promise<Store>;
  dispose(): Promise<void>;
}

export interface Backend {
  /** A place with nothing in it. */
  makePlace(): Promise<Place>;
}

/** A new place for one test, which disposes of it and closes what was opened there. */
export async function placeFor(t: TestContext, backend: Backend): Promise<Place> {
  const place = await backend.makePlace();
  const opened: Store[] = [];
  t.after(async () => {
    for (const store of opened) await store.close();
    await place.dispose();
  });
  return {
    async open(options) {
      const store = await place.open(options);
      opened.push(store);
      return store;
    },
    dispose: () => place.dispose(),
  };
}
