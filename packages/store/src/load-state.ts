import { damaged, readObject, type ObjectRow, type Origin } from "./rows.ts";
import { BaseState } from "./state.ts";

/** Where a page of objects starts: after this primary key. */
export interface ObjectPlace {
  readonly kind: string;
  readonly id: string;
}

/** Reads objects in order of (kind, id). */
export type ReadObjects = (after: ObjectPlace, limit: number) => Promise<readonly ObjectRow[]>;

const pageSize = 250;

/**
 * Loads the state that a database holds, as of the newest `revision` of its log.
 * @throws SkerryError unavailable that names the first damaged row
 */
export async function loadState(origin: Origin, revision: number, read: ReadObjects): Promise<BaseState> {
  const state = new BaseState(revision);
  let coming = read({ kind: "", id: "" }, pageSize);
  for (;;) {
    const rows = await coming;
    const last = rows.at(-1);
    if (last === undefined) return state;
    // The database reads the next page while this thread parses this one.
    coming = read(last, pageSize);
    coming.catch(() => undefined); // Awaited above, unless a damaged row comes first.
    for (const row of rows) add(state, origin, row);
  }
}

function add(state: BaseState, origin: Origin, row: ObjectRow): void {
  const object = readObject(origin, row);
  const { kind, metadata } = object;
  const holder = state.get(kind, metadata);
  if (holder !== undefined) throw damaged(origin, row, `${holder.metadata.id} has its name ${metadata.name} too`);
  if (metadata.revision > state.revision)
    throw damaged(origin, row, `it is newer than the log, which ends at ${state.revision}`);
  state.load(object, row.body);
}
