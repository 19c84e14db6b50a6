import type { SkerryError } from "@skerry/model";
import type { Change } from "./object.ts";
import type { ChangeEvent } from "./store.ts";

/** What a backend provides: the durable half of a store. One commit runs at a time. */
export interface CommitLog {
  /**
   * Makes all changes durable, or none.
   * @throws SkerryError storage-full, after which the next commit may succeed; LostLeadership; any other error means that the
   * log is lost
   */
  commit(changes: readonly Change[]): Promise<void>;
  /** Durable changes with revisions above `after`, in order, at most `limit`; fewer at its start where older ones were trimmed. */
  read(after: number, limit: number): Promise<readonly ChangeEvent[]>;
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
