import type { AuditHead } from "./chain.ts";

/** Who asked for a transaction, from where and why: what its audit record says beside the changes themselves. */
export interface AuditNote {
  /** Whoever is known by a token has its id, and a kind: the token's own, or its owner's. The control plane itself is `system`. */
  readonly actor: {
    readonly kind?: "ApiToken" | "JoinToken" | "User" | "ServiceAccount";
    readonly name: string;
    readonly tokenId?: string;
  };
  /** The address of the peer that asked. */
  readonly from?: string;
  /** For whom that peer, a replica, says that it asked. */
  readonly forwardedFor?: string;
  /** Such as a request's method and path. */
  readonly cause: string;
  /** The client's own words. */
  readonly why?: string;
  /** What it takes back: the change of this revision, in the record of this number, which submitted this operation. */
  readonly undoes?: { readonly revision: number; readonly seq: number; readonly operation?: string };
}

/** One record of the log. */
export interface AuditRecord extends AuditHead {
  /** Its exact text, which is JSON. */
  readonly record: string;
}

export interface AuditQuery {
  /** Records from behind this one on, oldest first; the newest ones where absent, oldest of them first. */
  readonly after?: number | undefined;
  /** How many at most; a page has fewer where they are large, and where few of those that were looked at fit. */
  readonly limit: number;
  /** A name. */
  readonly actor?: string | undefined;
  /** Only those that changed an object of this kind. */
  readonly kind?: string | undefined;
  /** Only those that changed something in it, or itself. */
  readonly project?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** The one that submitted the operation of this name. */
  readonly operation?: string | undefined;
  /** The first one whose last change has this revision or a later one; where none was noted for it, another's. Not with `after`. */
  readonly revision?: number | undefined;
}

export interface AuditPage {
  readonly records: readonly AuditRecord[];
  /** What the record behind `after` is chained to; later than asked for where the log starts later, as after a restoration. */
  readonly start: AuditHead;
  /** What to go on after; absent at the log's end, and where the newest were asked for. */
  readonly next?: number;
  /** The newest record of all. */
  readonly head: AuditHead;
}

/** The records that transactions with a note left: append-only, each chained to the one before it. */
export interface AuditTrail {
  /** Does not wait for the main thread's work; looks at a bounded number of records, so that a page may be empty and still have a `next`. */
  read(query: AuditQuery): Promise<AuditPage>;
  /** The newest record of what happened up to this revision. */
  headAt(revision: number): Promise<AuditHead>;
}

/** How many records a page looks at: some milliseconds of the database's time. */
const lookedAt = 2000;
/** How many bytes of records a page has; a single one may be larger. */
const pageBytes = 512 * 1024;

/** How many of these records, in order, a page takes. */
export function takenOf(sizes: readonly number[]): number {
  let bytes = 0;
  const over = sizes.findIndex((size) => (bytes += size) > pageBytes);
  return over === -1 ? sizes.length : Math.max(1, over);
}

/** What a query looks through, and what is to be asked next. */
export interface Range {
  /** Above this one. */
  readonly from: number;
  /** Up to this one. */
  readonly to: number;
}

export function rangeOf({ after, operation }: AuditQuery, base: AuditHead, head: AuditHead): Range {
  // An index leads to an operation's record.
  if (operation !== undefined) return { from: base.seq, to: head.seq };
  if (after === undefined) return { from: Math.max(base.seq, head.seq - lookedAt), to: head.seq };
  const from = Math.max(base.seq, after);
  return { from, to: Math.min(head.seq, from + lookedAt) };
}

/**
 * The number of the first record that reaches a revision, among those behind `base`; one more than `head` where none does. Revisions
 * rise with numbers, so that a few looks are enough, and no index is paid for by each change.
 * Yields the numbers of records of which it is to be told what revision their last change has.
 */
export function* search(revision: number, base: number, head: number): Generator<number, number, number> {
  let low = base + 1;
  let high = head + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((yield middle) < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param isWhole whether all that fits in the range was taken */
export function nextOf(
  query: AuditQuery,
  range: Range,
  head: AuditHead,
  records: readonly AuditRecord[],
  isWhole: boolean,
): Pick<AuditPage, "next"> {
  if (query.after === undefined || query.operation !== undefined) return {};
  const next = isWhole ? range.to : (records.at(-1)?.seq ?? range.to);
  return next < head.seq ? { next } : {};
}
