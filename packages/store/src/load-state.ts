import { setImmediate as turn } from "node:timers/promises";
import {
  SkerryError,
  currentForm,
  isKindName,
  kindNames,
  schemaVersionOf,
  type KindName,
  type StoredJson,
} from "@skerry/model";
import { BodyReader, type Span } from "./body-reader.ts";
import { factsOf, type Facts } from "./outline.ts";
import { damaged, readObject, readRecord, type ObjectRow, type Origin, type Totals } from "./rows.ts";
import type { StoredObject } from "./object.ts";
import { BaseState } from "./state.ts";
import { headerBytes, shortAt, type PackedRows, type Page } from "./table/page.ts";
import { SharedTexts, isText } from "./table/shared-texts.ts";

/** Where a page of objects starts: after this primary key. */
export interface ObjectPlace {
  readonly kind: string;
  readonly id: string;
}

/** After how many objects of an older form others have their turn. */
const turnAfter = 500;

/** Reads objects in order of (kind, id). */
export type ReadObjects = (after: ObjectPlace) => Promise<PackedRows>;

/**
 * Loads the state that a database holds, as of the newest `revision` of its log. Rows whose checksums are right are taken as they
 * are, at about 3 us each: only what the tables' columns need is read, and any row that is not in the usual form is looked at in full.
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
  const loading = new Loading(origin, state);
  let count = 0;
  let sum = 0;
  let coming = read({ kind: "", id: "" });
  for (;;) {
    const rows = await coming;
    if (rows.next === undefined) break;
    // The database reads the next page while this thread takes this one in.
    coming = read(rows.next);
    coming.catch(() => undefined); // Awaited above, unless a damaged row comes first.
    for (const page of rows.pages) loading.take(page);
    if (rows.odd !== undefined) {
      readObject(origin, rows.odd);
      throw damaged(origin, rows.odd, "its name or id is too long");
    }
    count += rows.count;
    sum = (sum + rows.sum) >>> 0;
    // An index that is out of order could give the same rows for ever.
    if (totals !== undefined && count > totals.count) throw incomplete(origin, totals, count);
  }
  if (totals !== undefined && (totals.count !== count || totals.sum !== sum)) throw incomplete(origin, totals, count);
  for (const kind of kindNames) {
    state.table(kind).endLoading();
    await turn();
    await loading.reform(kind);
  }
  return state;
}

class Loading {
  readonly #origin: Origin;
  readonly #state: BaseState;
  readonly #reader = new BodyReader();
  readonly #texts = new SharedTexts();
  /** Rows whose objects are of an older form; few, or all of a kind once. */
  readonly #older: { readonly kind: KindName; readonly row: number }[] = [];
  #isOlder = false;

  constructor(origin: Origin, state: BaseState) {
    this.#origin = origin;
    this.#state = state;
  }

  take(page: Page): void {
    const bytes = Buffer.from(page.bytes.buffer, 0, page.bytes.length);
    if (bytes.length === 0) return;
    const { kind, ends, revisions } = page;
    const table = isKindName(kind) ? this.#state.table(kind) : undefined;
    const slab = table?.beginPage(bytes) ?? -1;
    // One for all, as are no others in here: a million records would make a lot of garbage.
    const record = { kind, bytes, offset: 0, end: 0, revision: 0 };
    for (let index = 0; index < ends.length; index++) {
      const revision = (record.revision = revisions[index] ?? 0);
      record.offset = record.end;
      record.end = ends[index] ?? 0;
      const facts = this.#factsOf(record);
      if (revision > this.#state.revision)
        throw damaged(this.#origin, rowOf(record), `it is newer than the log, which ends at ${this.#state.revision}`);
      if (table === undefined) continue;
      const loaded = table.load(slab, record, facts);
      if (loaded < 0) {
        const row = rowOf(record);
        throw damaged(this.#origin, row, `${table.id(-1 - loaded)} has its name ${row.name} too`);
      }
      if (this.#isOlder) this.#older.push({ kind: kind as KindName, row: loaded });
    }
  }

  /** Puts what was of an older form into the table as it is now; of a kind that is loaded. */
  async reform(kind: KindName): Promise<void> {
    const table = this.#state.table(kind);
    let count = 0;
    for (const { row } of this.#older.filter((older) => older.kind === kind)) {
      const object = currentForm(kind, JSON.parse(table.text(row)) as StoredJson);
      this.#state.reform(object as unknown as StoredObject, JSON.stringify(object));
      if (++count % turnAfter === 0) await turn();
    }
  }

  #factsOf(record: RecordPlace): Facts {
    const { bytes, end, kind } = record;
    this.#isOlder = false;
    const reader = this.#reader;
    if (reader.read(bytes, bodyStart(record), end) && this.#isOwnBody(record)) {
      const isOutlined = kind === "Instance" || kind === "Volume";
      if (reader.isPlain || !isOutlined) return this.#read(bytes, kind as KindName);
    }
    const row = rowOf(record);
    const { object, json } = readRecord(this.#origin, row);
    this.#isOlder = json !== row.body;
    return factsOf(object);
  }

  #read(bytes: Buffer, kind: KindName): Facts {
    const { vcpus, memoryMiB, sizeMiB, address, node, labels, network } = this.#reader;
    const texts = this.#texts;
    const isInstance = kind === "Instance";
    return {
      node: texts.text(bytes, node.start, node.end),
      labels: texts.text(bytes, labels.start, labels.end),
      isPlain: isInstance || kind === "Volume",
      amount: isInstance ? vcpus : sizeMiB,
      secondAmount: memoryMiB,
      network: texts.text(bytes, network.start, network.end),
      address,
    };
  }

  /** Whether the body that was read says the same of its place as the record. */
  #isOwnBody({ kind, bytes, offset, revision }: RecordPlace): boolean {
    const reader = this.#reader;
    const idStart = offset + headerBytes;
    const keyStart = idStart + shortAt(bytes, offset);
    const keyEnd = keyStart + shortAt(bytes, offset + 2);
    const space = keyStart + reader.project.end - reader.project.start;
    return (
      reader.revision === revision &&
      isKindName(kind) &&
      reader.schemaVersion === schemaVersionOf(kind) &&
      isText(bytes, reader.kind.start, reader.kind.end, kind) &&
      isPart(bytes, reader.id, idStart, keyStart) &&
      isPart(bytes, reader.project, keyStart, space) &&
      bytes[space] === 0x20 &&
      isPart(bytes, reader.name, space + 1, keyEnd)
    );
  }
}

interface RecordPlace {
  readonly kind: string;
  readonly bytes: Buffer;
  readonly offset: number;
  readonly end: number;
  readonly revision: number;
}

function bodyStart({ bytes, offset }: RecordPlace): number {
  return offset + headerBytes + shortAt(bytes, offset) + shortAt(bytes, offset + 2);
}

function isPart(bytes: Buffer, span: Span, start: number, end: number): boolean {
  if (span.end - span.start !== end - start) return false;
  for (let at = start; at < end; at++) if (bytes[at] !== bytes[span.start + at - start]) return false;
  return true;
}

function rowOf(record: RecordPlace): Omit<ObjectRow, "sum"> {
  const { kind, bytes, offset, end, revision } = record;
  const idStart = offset + headerBytes;
  const keyStart = idStart + shortAt(bytes, offset);
  const start = bodyStart(record);
  const key = bytes.toString("utf8", keyStart, start);
  const space = key.indexOf(" ");
  return {
    kind,
    id: bytes.toString("utf8", idStart, keyStart),
    project: space === 0 ? null : key.slice(0, space),
    name: key.slice(space + 1),
    revision,
    body: bytes.toString("utf8", start, end),
  };
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
