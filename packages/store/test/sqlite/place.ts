import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "@skerry/store";
import type { Backend, Place } from "../contract/place.ts";

/** A folder of its own with a database path in it. */
export async function makeSqlitePlace(): Promise<Place & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "skerry-store-"));
  const path = join(folder, "store.db");
  return {
    path,
    open: (options) => openSqliteStore({ path, ...options }),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

export const sqliteBackend: Backend = { makePlace: makeSqlitePlace };
