import { createHash, type Hash } from "node:crypto";
import { SkerryError, optional, parserOf, strict } from "@skerry/model";
import { Type, type Static } from "typebox";
import type { AuditHead } from "../audit/chain.ts";
import type { StoredObject } from "../object.ts";
import { parseStored } from "../rows.ts";

/*
 * A backup is JSON lines: a head, one object a line, and a foot with their number and the SHA-256 of all bytes before it
 * and of that number.
 * Any backend restores what any other has written.
 */

const Head = strict({
  skerryBackup: Type.Literal(1),
  zoneId: Type.String(),
  /** The backup shows at least this revision. */
  revision: Type.Integer({ minimum: 0 }),
  createdAt: Type.String(),
});
export type BackupHead = Static<typeof Head>;

const Foot = strict({
  objects: Type.Integer({ minimum: 0 }),
  /** The newest revision that it shows. */
  revision: Type.Integer({ minimum: 0 }),
  /** The newest audit record by then, which the restored zone's first one follows on; the records themselves are exported apart. */
  audit: optional(strict({ seq: Type.Integer({ minimum: 0 }), hash: Type.String({ pattern: "^[0-9a-f]{64}$" }) })),
  sha256: Type.String(),
});

const parseHead = parserOf(Head, "backup's first line");
const parseFoot = parserOf(Foot, "backup's last line");

/** Makes the lines of a backup; objects may come in any order, each as often as it changed: the newest counts. */
export class BackupWriter {
  readonly #hash: Hash = createHash("sha256");
  #objects = 0;

  head(head: Omit<BackupHead, "skerryBackup">): string {
    return this.#line({ skerryBackup: 1, ...head });
  }

  /** @param json the object as it is stored */
  object(json: string): string {
    this.#objects += 1;
    return this.#text(`${json}\n`);
  }

  /** An object that went away while the backup was made. */
  gone(kind: string, id: string, revision: number): string {
    this.#objects += 1;
    return this.#line({ gone: { kind, id, revision } });
  }

  foot(revision: number, { seq, hash }: AuditHead): string {
    const counts = { objects: this.#objects, revision, audit: { seq, hash } };
    this.#hash.update(JSON.stringify(counts));
    return `${JSON.stringify({ ...counts, sha256: this.#hash.digest("hex") })}\n`;
  }

  #line(value: unknown): string {
    return this.#text(`${JSON.stringify(value)}\n`);
  }

  #text(text: string): string {
    this.#hash.update(text);
    return text;
  }
}

/** What a whole, unharmed backup holds. */
export interface BackupContent {
  readonly head: BackupHead;
  readonly revision: number;
  /** Backups of before there were records have none. */
  readonly audit?: AuditHead;
  /** Each object once, in order of their revisions. */
  readonly objects: readonly StoredObject[];
}

const Gone = strict({
  gone: strict({ kind: Type.String(), id: Type.String(), revision: Type.Integer() }),
});
const parseGone = parserOf(Gone, "backup's line");

/**
 * Reads a backup and checks all of it.
 * @throws SkerryError digest-mismatch where it is cut short or changed, with the first line that shows it
 */
export async function readBackup(lines: AsyncIterable<string>): Promise<BackupContent> {
  const hash = createHash("sha256");
  const objects = new Map<string, { readonly revision: number; readonly object: StoredObject | undefined }>();
  let head: BackupHead | undefined;
  let held: string | undefined;
  let number = 0;
  let count = 0;

  const take = (line: string): void => {
    number += 1;
    hash.update(`${line}\n`);
    try {
      const value = JSON.parse(line) as object;
      if (number === 1) {
        head = parseHead(value);
        return;
      }
      count += 1;
      if ("gone" in value) {
        const { kind, id, revision } = parseGone(value).gone;
        keep(`${kind} ${id}`, revision, undefined);
      } else {
        const object = parseStored(value);
        keep(`${object.kind} ${object.metadata.id}`, object.metadata.revision, object);
      }
    } catch (error) {
      throw harmed(`line ${number} can't be read (${(error as Error).message})`, error);
    }
  };
  const keep = (id: string, revision: number, object: StoredObject | undefined): void => {
    if ((objects.get(id)?.revision ?? -1) < revision) objects.set(id, { revision, object });
  };

  // One line is held back, since the last one is the foot.
  for await (const line of lines) {
    if (held !== undefined) take(held);
    held = line;
  }
  if (held === undefined || head === undefined) throw harmed("it ends before its second line");
  let foot;
  try {
    const value: unknown = JSON.parse(held);
    foot = parseFoot(value);
  } catch (error) {
    throw harmed("its last line is missing: it was cut short", error);
  }
  const { sha256, ...counts } = foot;
  hash.update(JSON.stringify(counts));
  if (sha256 !== hash.digest("hex") || foot.objects !== count)
    throw harmed("its content is not what its last line vouches for");
  const found = [...objects.values()].flatMap(({ object }) => (object === undefined ? [] : [object]));
  found.sort((one, other) => one.metadata.revision - other.metadata.revision);
  const { revision, audit } = foot;
  return { head, revision, objects: found, ...(audit === undefined ? {} : { audit }) };
}

function harmed(what: string, cause?: unknown): SkerryError {
  return new SkerryError("digest-mismatch", `The backup is damaged: ${what}.`, {
    remedy: "Use another copy of it, or an earlier backup.",
    cause,
  });
}
