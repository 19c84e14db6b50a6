import { setImmediate as turn } from "node:timers/promises";
import { kindNames } from "@skerry/model";
import type { Key, Store } from "../store.ts";
import { BackupWriter } from "./backup-file.ts";

const pageSize = 200;
/** Characters gathered before they are handed on. */
const chunkLength = 65_536;

/**
 * The lines of a backup of a store that goes on being changed: first every object as it is met, then every change since
 * the start, so that together they show one state, of the revision in the last line. Holds a page in memory at a time.
 */
export async function* makeBackup(store: Store, nowMs: number, signal: AbortSignal): AsyncGenerator<string, void> {
  const writer = new BackupWriter();
  const since = store.revision;
  const createdAt = new Date(nowMs).toISOString();
  let text = writer.head({ zoneId: store.zoneId, revision: since, createdAt });
  for (const kind of kindNames) {
    let after: Key | undefined;
    do {
      signal.throwIfAborted();
      let last: Key | undefined;
      let taken = 0;
      for (const document of store.documents.documents(kind, undefined, after)) {
        text += writer.object(Buffer.from(document.json).toString("utf8"));
        last = document.key;
        if (++taken === pageSize) break;
      }
      after = taken === pageSize ? last : undefined;
      if (text.length > chunkLength) {
        yield text;
        text = "";
      }
      // Between pages everyone else has a turn.
      await turn();
    } while (after !== undefined);
  }
  const until = store.revision;
  const done = new AbortController();
  if (until > since) {
    for await (const { revision, type, kind, id, object } of store.changes(
      since,
      AbortSignal.any([signal, done.signal]),
    )) {
      text += type === "deleted" ? writer.gone(kind, id, revision) : writer.object(JSON.stringify(object));
      if (revision === until) break;
    }
    done.abort();
  }
  yield text + writer.foot(until, await store.audit.headAt(until));
}
