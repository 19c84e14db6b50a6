import type { OperationResource, Reference } from "@skerry/model";
import type { Store, Transaction, View } from "@skerry/store";

/** What a step works with. Everything it must remember goes through `note`, since the process may die after any line. */
export interface StepContext {
  readonly operation: OperationResource;
  readonly store: Store;
  readonly nowMs: () => number;
  /** Durable facts of earlier steps, by key. */
  readonly notes: Readonly<Record<string, unknown>>;
  /** Records facts durably and resolves once they are. */
  note(facts: Readonly<Record<string, unknown>>): Promise<void>;
  /** The same as part of a transaction of the step's own. */
  noteIn(tx: Transaction, facts: Readonly<Record<string, unknown>>): void;
  /** Coalesced; may be lost at a kill. */
  progress(update: { message?: string; done?: number; total?: number; unit?: "bytes" | "items" }): void;
  /**
   * Resolves with the first truthy answer of `condition`, which is asked now and after each durable change or report of what the
   * operation is about. Rejects when the signal aborts.
   */
  until<T>(condition: (store: Store) => T | undefined | false): Promise<T>;
  /** The same, but resolves undefined once `limitMs` have passed without. */
  within<T>(limitMs: number, condition: (store: Store) => T | undefined | false): Promise<T | undefined>;
}

/** What a step that only waits works with. */
export interface WatchContext extends Pick<StepContext, "operation" | "progress"> {
  readonly store: View;
  /** The store's revision when the step began. */
  readonly since: number;
}

interface StepBase {
  readonly name: string;
  /** What it waits for at first, as far as that is known beforehand: recorded with its beginning, so that it costs no write of its own. */
  opening?(view: View, operation: OperationResource): string | undefined;
  /** Takes back what it did, wholly or partly done; safe to repeat. Called in reverse order after a failure or cancel. */
  compensate?(context: StepContext, signal: AbortSignal): Promise<void>;
  /** After this step has begun a cancel is refused and a failure no longer compensates earlier steps: only forward. */
  readonly pointOfNoReturn?: boolean;
  /** How often it is tried at most, for errors that would be retried until the deadline. */
  readonly maxAttempts?: number;
  /** How long one attempt at it may last; then it fails with `deadline-exceeded`. */
  readonly limitMs?: number;
}

/** A step that does something. */
export interface RunStep extends StepBase {
  run(context: StepContext, signal: AbortSignal): Promise<void>;
  readonly isThere?: undefined;
}

/** A step that only waits: tens of thousands may. */
export interface WatchStep extends StepBase {
  /**
   * Whether what it waits for is there: asked at first, and after each durable change or report of what the operation is about. Throws
   * what the step fails with.
   */
  isThere(context: WatchContext): boolean;
  readonly run?: undefined;
}

/**
 * One step: safe to repeat after a kill at any line of it. Expected failures are thrown as SkerryError; `retryable` ones
 * (by code) are tried again with jitter until the operation's deadline.
 */
export type OperationStepKind = RunStep | WatchStep;

export interface OperationKind {
  readonly type: string;
  readonly deadlineMs: number;
  /** It only watches how what was asked comes true, so that a later wish (`replaces`) may end it at once. */
  readonly replaceable?: boolean;
  steps(operation: OperationResource): readonly OperationStepKind[];
  /** Ids of all objects and nodes that its steps' conditions read; every change wakes them where absent, which is dear in thousands. */
  about?(operation: OperationResource): readonly string[] | undefined;
  /** Called in the transaction that ends the operation, whatever its outcome; `result` of a success. */
  finish?(tx: Transaction, operation: OperationResource): Readonly<Record<string, unknown>> | undefined;
}

export interface OperationRequest {
  readonly type: string;
  readonly targets: readonly [Reference, ...Reference[]];
  readonly actor: string;
  readonly cause: string;
  readonly input?: Readonly<Record<string, unknown>>;
  readonly deadlineMs?: number;
  /** Ends a replaceable operation on the same subject as cancelled, instead of being refused as busy. */
  readonly replaces?: boolean;
}

/** Starts, resumes and ends operations. The log of truth is the store. */
export interface OperationEngine {
  /**
   * Records the operation in the caller's transaction; it starts when that is durable.
   * @throws SkerryError busy where one that is not over has the same first target
   */
  submit(tx: Transaction, request: OperationRequest): OperationResource;
  /** @throws SkerryError busy where `submit` would, or what it would replace is being taken back: for intents that would otherwise fail for a reason that follows from it */
  requireIdle(tx: Transaction, subject: Reference, replaces?: boolean): void;
  /** Records the wish; @throws SkerryError conflict past the point of no return or when it is over */
  cancel(tx: Transaction, operation: OperationResource, actor: string): OperationResource;
  /** Resumes everything that is not over. */
  start(): void;
  stop(): Promise<void>;
}
