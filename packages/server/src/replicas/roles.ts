import { readFile } from "node:fs/promises";
import { SkerryError, makeId } from "@skerry/model";
import type { ReplicatedStore } from "@skerry/store";
import type { Listener } from "../api/listener.ts";
import { makeIntents } from "../controllers/intents.ts";
import { pause } from "../operations/clock.ts";
import { noFirstStart } from "../sign-in/first-start.ts";
import { startLeading, type Foundation } from "./leading.ts";
import type { ClosableServing } from "./serving.ts";
import { startStandby } from "./standby.ts";

/** The one control plane of an embedded store. */
export async function leadAlways(foundation: Foundation, listener: Listener): Promise<{ close(): Promise<void> }> {
  const serving = await startLeading(foundation);
  listener.serve(serving);
  return serving;
}

export interface RoleDeps {
  readonly foundation: Foundation;
  readonly store: ReplicatedStore;
  readonly listener: Listener;
  /** Called when the store can neither lead nor follow any more. */
  readonly lost: (cause: SkerryError) => void;
}

/** How long a change that failed is left before it is tried again: doubling, up to the longest. */
const firstRetryMs = 250;
const longestRetryMs = 4000;

/**
 * Serves as the store's role says, and changes over with it, one change at a time; resolves once it serves. A change that
 * fails leaves what served before, and is tried again until it is made, the role is another, or this is closed.
 */
export async function followRoles(deps: RoleDeps): Promise<{ close(): Promise<void> }> {
  const { foundation, store, listener, lost } = deps;
  const { log, clock } = foundation;
  let current: { readonly leads: boolean; readonly serving: ClosableServing } | undefined;
  let closed = false;
  /** Ends a wait for the next try. */
  let waiting = new AbortController();

  const change = async (): Promise<void> => {
    const { role } = store;
    const leads = role.kind === "leader";
    if (closed || current?.leads === leads) return;
    const startedMs = performance.now();
    const serving = leads ? await startLeading(foundation) : await standby(deps);
    const before = current;
    current = { leads, serving };
    listener.serve(serving);
    log.info(
      { role, elapsedMs: Math.round(performance.now() - startedMs) },
      leads ? "this replica leads" : "this replica follows",
    );
    await before?.serving.close();
  };
  const changeInTheEnd = async (): Promise<void> => {
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(longestRetryMs, retryMs * 2)) {
      // A new role, and the end, cut the wait short.
      waiting = new AbortController();
      const { signal } = waiting;
      try {
        return await change();
      } catch (error) {
        if (closed) return;
        log.error({ error, role: store.role, retryMs }, "the role could not be changed; it is tried again");
      }
      await pause(clock, retryMs, signal).catch(() => undefined);
    }
  };
  let turn = change();
  const stop = store.onRole((role) => {
    if (role.kind === "lost") {
      lost(role.cause);
      return;
    }
    waiting.abort();
    turn = turn.then(changeInTheEnd);
  });
  await turn;
  return {
    async close() {
      closed = true;
      stop();
      waiting.abort();
      await turn;
      await current?.serving.close();
    },
  };
}

async function standby({ foundation, store }: RoleDeps): Promise<ClosableServing> {
  const { clock, random, authority } = foundation;
  return startStandby({
    ...foundation,
    // The table of routes is made from them; the requests that would run them go to the leader.
    intents: makeIntents({
      allocation: { in: nobody },
      addresses: { lease: nobody },
      fleet: { in: nobody, placerIn: nobody, decided: nobody, requestOf: nobody, size: 0 },
      usage: { in: nobody },
      spend: { of: nobody },
      residents: { instanceIdsOn: nobody },
      engine: { submit: nobody, cancel: nobody, requireIdle: nobody },
      random,
      rights: { grantsOf: nobody },
      people: { userIdOf: nobody, sessionIdsOf: nobody },
      authorityFingerprint: authority.fingerprint,
    }),
    makeId: (prefix) => makeId(prefix, clock.nowMs(), random.bytes(10)),
    firstStart: noFirstStart,
    leaderUrl: () => (store.role.kind === "follower" ? store.role.leader?.url : undefined),
    authority: await readFile(authority.certificateFile, "utf8"),
  });
}

function nobody(): never {
  throw new SkerryError("unavailable", "This replica follows; it takes no changes.");
}
