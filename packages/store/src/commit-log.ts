import type { SkerryError } from "@skerry/model";
import type { AuditTrail } from "./audit/note.ts";
import type { Noted } from "./audit/record.ts";
import type { Change } from "./object.ts";
import type { ChangeEvent } from "./store.ts";

/** What a backend provides: the durable half of a store. One commit runs at a time. */
export interface CommitLog {
  /**
   * Makes all changes durable, with the records of those that are noted, or none.
   * @param noted in order of their revisions
   * @throws SkerryError storage-full, after which the next commit may succeed; LostLeadership; any other error means that the
   * log is lost
   */
  commit(changes: readonly Change[], noted?: readonly Noted[]): Promise<void>;
  /** Durable changes with revisions above `after`, in order, at most `limit`; fewer at its start where older ones were trimmed. */
  read(after: number, limit: number): Promise<readonly ChangeEvent[]>;
  readonly audit: AuditTrail;
  close(): Promise<void>;
}

/** Another may write to the log now; this store may follow it, and write again when it leads again. */
export class LostLeadership extends Error {
  /** What whoever waits for the commit is told. */
  readonly problem: SkerryError;

  constructor(problem: SkerryError) {
    super(problem.message, { cause: problem });
    this.name = "LostLeadership";
    this.problem = problem;
  }
}
