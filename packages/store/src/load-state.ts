import { SkerryError } from "@skerry/model";
import { damaged, readObject, type ObjectRow, type Origin, type Totals } from "./rows.ts";
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
 * @param totals what the rows must add up to, where that is known
 * @throws SkerryError unavailable that names the first damaged row, or says how many are missing
 */
export async function loadState(
  origin: Origin,
  revision: number,
  read: ReadObjects,
  totals?: Totals,
): Promise<BaseState> {
  const state = new BaseState(revision);
  let count = 0;
  let sum = 0;
  let coming = read({ kind: "", id: "" }, pageSize);
  for (;;) {
    const rows = await coming;
    const last = rows.at(-1);
    if (last === undefined) {
      if (totals !== undefined && (totals.count !== count || totals.sum !== sum))
        throw incomplete(origin, totals, count);
      return state;
    }
    // The database reads the next page while this thread parses this one.
    coming = read(last, pageSize);
    coming.catch(() => undefined); // Awaited above, unless a damaged row comes first.
    for (const row of rows) {
      add(state, origin, row);
      count += 1;
      sum = (sum + row.sum) >>> 0;
    }
    // An index that is out of order could give the same rows for ever.
    if (totals !== undefined && count > totals.count) throw incomplete(origin, totals, count);
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

function incomplete({ store }: Origin, totals: Totals, count: number): SkerryError {
  const what = totals.count === count ? "objects that are not its newest" : `${count} objects`;
  return new SkerryError(
    "unavailable",
    `The store ${store} has ${what}, and should have ${totals.count}: it is damaged.`,
    {
      remedy: "Restore the latest backup.",
      facts: { store, count, expected: totals.count },
    },
  );
}
