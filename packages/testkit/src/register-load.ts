import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError, keptRequestMarks } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import type { Attempt, LoggedChange, Read } from "./history.ts";

/**
 * Clients that change a few registers (organisations, by name) through any replica, and note what they saw. What is left open they ask
 * again, of the next replica with the same Idempotency-Key, until it is made or refused; it counts as one attempt.
 */
export interface RegisterLoad {
  readonly attempts: readonly Attempt[];
  readonly reads: readonly Read[];
  /** Resolves with the next acknowledgement of a change that was asked for, perhaps again, after this call. */
  nextAcknowledgement(signal: AbortSignal): Promise<Attempt>;
  stop(): Promise<void>;
}

const registers = ["alpha", "beta", "gamma"] as const;
const pauseMs = 20;

type RegisterClient = Pick<Client, "get" | "put">;
type MutationOptions = NonNullable<Parameters<Client["put"]>[3]>;

/** @param clients one per replica; each runs `perClient` loops, one request at a time */
export function startRegisterLoad(clients: readonly RegisterClient[], perClient: number): RegisterLoad {
  const attempts: Attempt[] = [];
  const reads: Read[] = [];
  const waiting = new Set<(attempt: Attempt, askedMs: number) => void>();
  const open = new OpenAttempts();
  const stopping = new AbortController();
  const prefix = randomUUID().slice(0, 8);
  let serial = 0;

  /** By client: what it must be shown at least, since it changed it itself. */
  const own = new Map<RegisterClient, number>();

  const read = async (client: RegisterClient, name: string): Promise<number | undefined> => {
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
  const ask = async (client: RegisterClient, { name, id, options }: Asked, repeated: boolean): Promise<Seen> => {
    try {
      const { resource } = await client.put("Organisation", { name }, { spec: { displayName: id } }, options);
      const { revision } = resource.metadata;
      own.set(client, Math.max(own.get(client) ?? 0, revision));
      if (resource.spec.displayName === id) return { outcome: "made", revision };
      // Others have changed it since it was made: what it is now must be true as well.
      reads.push({ register: name, id: resource.spec.displayName, revision, atLeast: 0 });
      return { outcome: "made" };
    } catch (error) {
      return { outcome: outcomeOf(error, repeated) };
    }
  };
  const change = async (first: RegisterClient, name: string, ifRevision: number | undefined): Promise<void> => {
    const id = `${prefix}-${++serial}`;
    const startedMs = performance.now();
    const condition = ifRevision === undefined ? { ifAbsent: true } : { ifRevision };
    const asked: Asked = { name, id, options: { ...condition, idempotencyKey: id } };
    let askedMs = startedMs;
    let seen = await ask(first, asked, false);
    for (let turn = clients.indexOf(first) + 1; seen.outcome === "unknown"; turn++) {
      await delay(pauseMs);
      if (stopping.signal.aborted) break;
      askedMs = performance.now();
      seen = await ask(clients[turn % clients.length] ?? first, asked, true);
    }
    const attempt: Attempt = { id, register: name, startedMs, endedMs: performance.now(), ...seen };
    attempts.push(attempt);
    if (attempt.outcome === "made") for (const tell of [...waiting]) tell(attempt, askedMs);
  };
  const loop = async (client: RegisterClient, offset: number): Promise<void> => {
    for (let turn = offset; !stopping.signal.aborted; turn++) {
      const name = registers[turn % registers.length] ?? "alpha";
      try {
        const revision = await read(client, name);
        const leave = open.enter(name);
        if (leave === undefined) await delay(1);
        else await change(client, name, revision).finally(leave);
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
        const tell = (attempt: Attempt, lastAskedMs: number): void => {
          if (lastAskedMs < askedMs) return;
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

interface Asked {
  readonly name: string;
  readonly id: string;
  readonly options: MutationOptions;
}

type Seen = Pick<Attempt, "outcome" | "revision">;

/**
 * Lets a register's attempts be overtaken by others only as often as it keeps marks of requests: so who asks again is recognised, however
 * late, and a refusal rules out what was asked before.
 */
class OpenAttempts {
  readonly #byRegister = new Map<string, Set<{ overtaken: number }>>();

  /** Returns what ends the attempt; undefined where there must not be another one now. */
  enter(register: string): (() => void) | undefined {
    const others = this.#byRegister.get(register) ?? new Set();
    this.#byRegister.set(register, others);
    for (const { overtaken } of others) if (overtaken >= keptRequestMarks - 1) return undefined;
    if (others.size >= keptRequestMarks) return undefined;
    for (const other of others) other.overtaken++;
    const own = { overtaken: others.size };
    others.add(own);
    return () => others.delete(own);
  }
}

/** Only an answer that rules the change out counts as a refusal; of a repeated request one that rules the earlier ones out too. */
function outcomeOf(error: unknown, repeated: boolean): "refused" | "unknown" {
  if (!(error instanceof SkerryError) || error.facts?.["applied"] === "unknown") return "unknown";
  const { code } = error;
  // Where there was no room this time, an earlier request may still be on its way.
  if (code === "storage-full") return repeated ? "unknown" : "refused";
  return code === "revision-mismatch" || code === "already-exists" ? "refused" : "unknown";
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
