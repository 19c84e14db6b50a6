import type { ChangeRow } from "../rows.ts";
import { chainHash, type AuditHead } from "./chain.ts";
import type { AuditRecord } from "./note.ts";

/** A transaction that is to leave a record, as the log gets it beside its changes. */
export interface Noted {
  /** The revisions of its first and last change; those between are its too. */
  readonly first: number;
  readonly last: number;
  readonly timeMs: number;
  readonly actor: string;
  /** The note as JSON. */
  readonly note: string;
  /** What a record says of objects that hold secrets, by revision, in place of their bodies. */
  readonly masked?: Readonly<Record<number, Masked>>;
}

export interface Masked {
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

/** A record with what it is found by, as its table has it. */
export interface AuditRow extends AuditRecord {
  /** Of its last change. */
  readonly revision: number;
  readonly timeMs: number;
  readonly actor: string;
  /** Each between spaces. */
  readonly kinds: string;
  readonly projects: string;
  /** The name of the operation that it submitted. */
  readonly operation: string | null;
  readonly bytes: number;
}

/** Gathers a transaction's changes, in order, and makes its record of them. */
export class RecordDraft {
  readonly #noted: Noted;
  readonly #changes: string[] = [];
  readonly #kinds = new Set<string>();
  readonly #projects = new Set<string>();
  #operation: string | null = null;

  constructor(noted: Noted) {
    this.#noted = noted;
  }

  /** @param before the object's body as it was; undefined where there was none */
  add(row: ChangeRow, before: string | undefined): void {
    const { type, kind, id, project, name, revision, body } = row;
    const masked = this.#noted.masked?.[revision];
    const place = `"type":"${type}","kind":"${kind}","id":${JSON.stringify(id)}`;
    const where = project === null ? "" : `,"project":${JSON.stringify(project)}`;
    const old = masked === undefined ? before : masked.before;
    const was = old === undefined ? "" : `,"before":${old}`;
    const is = type === "deleted" ? "" : `,"after":${masked?.after ?? body}`;
    this.#changes.push(`{${place}${where},"name":${JSON.stringify(name)},"revision":${revision}${was}${is}}`);
    this.#kinds.add(kind);
    if (project !== null) this.#projects.add(project);
    if (kind === "Project") this.#projects.add(name);
    if (kind === "Operation" && type === "created") this.#operation ??= name;
  }

  /** The record that follows on `previous`. */
  end(previous: AuditHead): AuditRow {
    const { last, timeMs, actor, note } = this.#noted;
    const seq = previous.seq + 1;
    const record = `{"seq":${seq},"timeMs":${timeMs},${note.slice(1, -1)},"changes":[${this.#changes.join(",")}]}`;
    return {
      seq,
      hash: chainHash(previous.hash, record),
      revision: last,
      timeMs,
      actor,
      kinds: between(this.#kinds),
      projects: between(this.#projects),
      operation: this.#operation,
      bytes: Buffer.byteLength(record),
      record,
    };
  }
}

/** A pattern for LIKE that finds a word of a list made by `between`; names have no `%` and no `_` in them. */
export function within(word: string): string {
  return `% ${word} %`;
}

function between(words: ReadonlySet<string>): string {
  return ` ${[...words].join(" ")} `;
}
