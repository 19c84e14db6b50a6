import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import type { Attempt, LoggedChange, Read } from "./history.ts";

/** Clients that change a few registers (organisations, by name) through any replica, and note what they saw. */
export interface RegisterLoad {
  readonly attempts: readonly Attempt[];
  readonly reads: readonly Read[];
  /** Resolves with the next acknowledgement of a change that was asked for after this call. */
  nextAcknowledgement(signal: AbortSignal): Promise<Attempt>;
  stop(): Promise<void>;
}

const registers = ["alpha", "beta", "gamma"] as const;
const pauseMs = 20;

/** @param clients one per replica; each runs `perClient` loops, one request at a time */
export function startRegisterLoad(clients: readonly Client[], perClient: number): RegisterLoad {
  const attempts: Attempt[] = [];
  const reads: Read[] = [];
  const waiting = new Set<(attempt: Attempt) => void>();
  const stopping = new AbortController();
  const prefix = randomUUID().slice(0, 8);
  let serial = 0;

  /** By client: what it must be shown at least, since it changed it itself. */
  const own = new Map<Client, number>();

  const read = async (client: Client, name: string): Promise<number | undefined> => {
    const atLeast = own.get(client) ?? 0;
    try {
      const { metadata, spec } = await client.get("Organisation", { name });
      reads.push({ register: name, id: spec.displayName, revision: metadata.revision, atLeast });
      return metadata.revision;
    } catch (error) {
      if (error instanceof SkerryError && error.code === "not-found") return undefined;
      throw error;
    }
  };
  const change = async (client: Client, name: string, ifRevision: number | undefined): Promise<void> => {
    const id = `${prefix}-${++serial}`;
    const startedMs = performance.now();
    const options = ifRevision === undefined ? { ifAbsent: true } : { ifRevision };
    const seen = await client.put("Organisation", { name }, { spec: { displayName: id } }, options).then(
      ({ resource }) => ({ outcome: "made" as const, revision: resource.metadata.revision }),
      (error: unknown) => ({ outcome: outcomeOf(error) }),
    );
    const attempt: Attempt = { id, register: name, startedMs, endedMs: performance.now(), ...seen };
    attempts.push(attempt);
    if (attempt.outcome === "made") {
      own.set(client, Math.max(own.get(client) ?? 0, attempt.revision ?? 0));
      for (const tell of [...waiting]) tell(attempt);
    }
    if (attempt.outcome === "unknown") await delay(pauseMs);
  };
  const loop = async (client: Client, offset: number): Promise<void> => {
    for (let turn = offset; !stopping.signal.aborted; turn++) {
      const name = registers[turn % registers.length] ?? "alpha";
      try {
        await change(client, name, await read(client, name));
      } catch {
        // A read that fails shows nothing; the replica may be the one that was killed.
        await delay(pauseMs);
      }
    }
  };
  const loops = clients.flatMap((client) => Array.from({ length: perClient }, (_, offset) => loop(client, offset)));

  return {
    attempts,
    reads,
    nextAcknowledgement: (signal) =>
      new Promise((resolve, reject) => {
        const askedMs = performance.now();
        const leave = (): void => {
          waiting.delete(tell);
          signal.removeEventListener("abort", abort);
        };
        const tell = (attempt: Attempt): void => {
          if (attempt.startedMs < askedMs) return;
          leave();
          resolve(attempt);
        };
        const abort = (): void => {
          leave();
          reject(signal.reason as Error);
        };
        signal.addEventListener("abort", abort, { once: true });
        waiting.add(tell);
      }),
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

/** Only an answer that rules the change out counts as a refusal. */
function outcomeOf(error: unknown): "refused" | "unknown" {
  if (!(error instanceof SkerryError) || error.facts?.["applied"] === "unknown") return "unknown";
  const { code } = error;
  return code === "revision-mismatch" || code === "already-exists" || code === "storage-full" ? "refused" : "unknown";
}

/** The registers' changes that one replica's event stream gives, from the first through `revision`. */
export async function readLog(client: Client, revision: number, signal: AbortSignal): Promise<LoggedChange[]> {
  const log: LoggedChange[] = [];
  const done = new AbortController();
  for await (const { revision: at, object } of client.watch(0, AbortSignal.any([signal, done.signal]))) {
    if (object.kind === "Organisation")
      log.push({ revision: at, register: object.metadata.name, id: object.spec.displayName ?? "" });
    if (at >= revision) break;
  }
  done.abort();
  return log;
}
