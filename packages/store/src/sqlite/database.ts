import { Worker } from "node:worker_threads";
import { SkerryError } from "@skerry/model";
import { failed } from "./failure.ts";
import type { AuditHead } from "../audit/chain.ts";
import type { AuditPage, AuditQuery, AuditTrail } from "../audit/note.ts";
import type { Noted } from "../audit/record.ts";
import type { ObjectPlace } from "../load-state.ts";
import type { ChangeRow } from "../rows.ts";
import type { PackedRows } from "../table/page.ts";
import type { Opened, Reply, Request, WorkerSettings } from "./messages.ts";

interface Caller {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The worker beside this file: as source, or as the bundle of it that stands beside this file's bundle. */
const workerUrl = new URL(
  import.meta.url.endsWith(".ts") ? "./commit-worker.ts" : "./commit-worker.js",
  import.meta.url,
);

/** The main thread's end of the commit worker: asks, and matches replies to requests by their order. */
export class Database {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #callers: Caller[] = [];
  readonly #ended: Promise<void>;
  #isOpen = false;
  /** Why nothing more can be asked. */
  #lost: SkerryError | undefined;
  readonly opened: Promise<Opened>;

  constructor(settings: WorkerSettings) {
    this.#path = settings.path;
    this.#worker = new Worker(workerUrl, {
      name: "skerry-store",
      workerData: settings,
      // It keeps nothing; a large nursery would only be memory that lies about.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.opened = new Promise((resolve, reject) => {
      this.#callers.push({ resolve: (value) => resolve(value as Opened), reject });
    });
    this.#worker.on("message", (reply: Reply) => this.#receive(reply));
    this.#worker.on("error", (error: Error) => this.#lose(error));
    this.#ended = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#lose(new Error("its thread has ended"));
        resolve();
      });
    });
  }

  async commit(changes: readonly ChangeRow[], noted: readonly Noted[] = []): Promise<void> {
    await this.#ask({ type: "commit", changes, noted });
  }

  readonly audit: AuditTrail = {
    read: async (query: AuditQuery) => (await this.#ask({ type: "audit", query })) as AuditPage,
    headAt: async (revision: number) => (await this.#ask({ type: "audit-head", revision })) as AuditHead,
  };

  /** Has the first record to come follow on this one, which is not here. */
  async startAudit(base: AuditHead): Promise<void> {
    await this.#ask({ type: "audit-base", base });
  }

  async objects(after: ObjectPlace): Promise<PackedRows> {
    return (await this.#ask({ type: "objects", after })) as PackedRows;
  }

  async changes(after: number, limit: number): Promise<readonly ChangeRow[]> {
    return (await this.#ask({ type: "changes", after, limit })) as readonly ChangeRow[];
  }

  /** Lets go of the file; also after a failure, when there is nothing left to close. */
  async close(): Promise<void> {
    try {
      if (this.#lost === undefined) await this.#ask({ type: "close" });
    } finally {
      await this.#ended;
    }
  }

  #ask(request: Request): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) throw this.#lost;
      this.#callers.push({ resolve, reject });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      this.#worker.postMessage(request);
    });
  }

  #receive(reply: Reply): void {
    const caller = this.#callers.shift();
    if (reply.ok) {
      this.#isOpen = true;
      caller?.resolve(reply.value);
      return;
    }
    const error = failed(this.#path, reply.failure);
    // A worker that could not open has nothing to serve and ends by itself.
    if (!this.#isOpen) this.#lost = error;
    caller?.reject(error);
  }

  #lose(cause: Error): void {
    this.#lost ??= new SkerryError("unavailable", `The store ${this.#path} has failed: ${cause.message}.`, { cause });
    for (const caller of this.#callers.splice(0)) caller.reject(this.#lost);
  }
}
