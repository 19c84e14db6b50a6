import { setTimeout as delay } from "node:timers/promises";
import {
  changedWanted,
  deviceVersion,
  type ObservedState,
  type ServerMessage,
  type WantedChange,
  type WantedState,
} from "@skerry/protocol";
import type { Identity } from "../identity.ts";
import type { Log } from "../log.ts";
import { retryDelayMs } from "../retry-delay.ts";
import { afterFailure, afterLink, neverLinked, reconnectDelayMs, type ReconnectLimits } from "./absence.ts";
import { LinkRefused, openSession } from "./session.ts";
import type { Session, SessionEnd } from "./session.ts";

export interface LinkDeps {
  readonly identity: Identity;
  readonly reconnect: ReconnectLimits;
  readonly wantedRevision: () => number;
  readonly observed: () => ObservedState;
  readonly onWanted: (state: WantedState) => void;
  /** Numbers a beat that is sent at once. */
  readonly beat: () => number;
  readonly onGranted: (beat: number, wantedRevision: number) => void;
  readonly onOpenStream: (message: Extract<ServerMessage, { type: "open-stream" }>, session: Session) => void;
  readonly onConnected: () => void;
  readonly random: () => number;
  readonly log: Log;
}

/** Changes within this time go in one message. */
const gatherMs = 20;
/** Least time between two messages about changes. */
const spacingMs = 200;
/** Beyond this the network is slower than the reports; the next heartbeat tells the newest. */
const maxBufferedBytes = 1024 * 1024;
/** Heartbeats in a row without a sign of the server, after which the link counts as dead. */
const maxSilentBeats = 3;

/** The node's one link to the server: kept up for as long as the agent runs. */
export class Link {
  readonly #deps: LinkDeps;
  #session: Session | undefined;
  /** What came last over this session: what changes are of. */
  #wanted: WantedState | undefined;
  #lastSent = "";
  #lastSentMs = -spacingMs;
  #pushTimer: NodeJS.Timeout | undefined;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  /** Authorises images and streams; undefined while there is no link. */
  sessionToken(): string | undefined {
    return this.#session?.welcome.sessionToken;
  }

  /** This host's address as the last link had it. */
  localAddress: string | undefined;

  /** Asks the server for leases now. */
  askLeases(): void {
    this.#session?.send({ type: "beat", beat: this.#deps.beat() });
  }

  /** What is observed may have changed: it is sent soon if it did. */
  changed(): void {
    if (this.#session === undefined || this.#pushTimer !== undefined) return;
    const waitMs = Math.max(gatherMs, this.#lastSentMs + spacingMs - performance.now());
    this.#pushTimer = setTimeout(() => {
      this.#pushTimer = undefined;
      this.#push(false);
    }, waitMs);
  }

  /** Keeps the link up until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { reconnect, random, log } = this.#deps;
    let absence = neverLinked;
    while (!signal.aborted) {
      let waitMs: number;
      try {
        const { upMs, ...end } = await this.#runSession(signal);
        if (signal.aborted) {
          log.info({ upMs: Math.round(upMs), ...end }, "the link to the server ended");
          return;
        }
        absence = afterLink(absence, { upMs, closeCode: end.closeCode }, performance.now(), reconnect);
        waitMs = reconnectDelayMs(absence, performance.now(), reconnect, random());
        log.info({ upMs: Math.round(upMs), ...end, retryInMs: waitMs }, "the link to the server ended");
      } catch (error) {
        if (signal.aborted) return;
        absence = afterFailure(absence, isNobodyThere(error));
        const refused = error instanceof LinkRefused;
        waitMs = refused
          ? retryDelayMs(1, reconnect.refusedMs, reconnect.refusedMs, random())
          : reconnectDelayMs(absence, performance.now(), reconnect, random());
        log.warn(
          { error, ...(refused && error.remedy !== undefined ? { remedy: error.remedy } : {}), retryInMs: waitMs },
          refused ? "the server refuses this node" : "the server cannot be reached",
        );
      }
      // An abort ends the wait, and the loop with it.
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns how long the link was up, ms, and what ended it */
  async #runSession(signal: AbortSignal): Promise<SessionEnd & { readonly upMs: number }> {
    const { identity, wantedRevision, onConnected, log } = this.#deps;
    let silentBeats = 0;
    // Messages may follow the welcome at once, before the session is there to be answered on.
    const early: ServerMessage[] = [];
    const opening = openSession(
      identity,
      wantedRevision(),
      {
        onMessage: (message) =>
          this.#session === undefined ? void early.push(message) : this.#receive(message, this.#session),
        onAlive: () => (silentBeats = 0),
        onUnreadable: (error) => log.error({ error }, "a message of the server cannot be read; it is ignored"),
      },
      signal,
    );
    const session = await opening;
    const sinceMs = performance.now();
    this.#session = session;
    this.#wanted = undefined;
    this.localAddress = session.localAddress;
    this.#lastSent = "";
    const { heartbeatMs } = session.welcome;
    log.info({ server: identity.server, heartbeatMs }, "linked to the server");
    const beat = setInterval(() => {
      silentBeats += 1;
      if (silentBeats > maxSilentBeats) session.close(`no sign of the server for ${maxSilentBeats} heartbeats`);
      session.ping();
      this.askLeases();
      this.#push(true);
    }, heartbeatMs);
    const close = (): void => session.close("the agent stops");
    signal.addEventListener("abort", close, { once: true });
    try {
      this.askLeases();
      this.#push(true);
      for (const message of early) this.#receive(message, session);
      onConnected();
      if (signal.aborted) close();
      const end = await session.closed;
      return { ...end, upMs: performance.now() - sinceMs };
    } finally {
      signal.removeEventListener("abort", close);
      clearInterval(beat);
      clearTimeout(this.#pushTimer);
      this.#pushTimer = undefined;
      this.#session = undefined;
    }
  }

  #receive(message: ServerMessage, session: Session): void {
    const { onWanted, onGranted, onOpenStream } = this.#deps;
    switch (message.type) {
      case "wanted":
        this.#wanted = message.state;
        onWanted(message.state);
        return;
      case "wanted-change": {
        const state = this.#changed(message.change);
        // The next session begins with a whole one.
        if (state === undefined) session.close("a change of a wanted state that was not sent");
        else onWanted(state);
        return;
      }
      case "granted":
        onGranted(message.beat, message.wantedRevision);
        return;
      case "open-stream":
        onOpenStream(message, session);
        return;
      case "refused":
        session.close(`the server refuses this node: ${message.detail} (${message.code})`);
        return;
      case "challenge":
      case "welcome":
      case "ping":
        return; // Only meant before, or answered by the session.
    }
  }

  #changed(change: WantedChange): WantedState | undefined {
    if (this.#wanted?.revision !== change.since) return undefined;
    this.#wanted = changedWanted(this.#wanted, change);
    return this.#wanted;
  }

  /** @param beat also where nothing changed */
  #push(beat: boolean): void {
    const session = this.#session;
    if (session === undefined || session.bufferedBytes() > maxBufferedBytes) return;
    const state = speaking(session.spokenVersion, this.#deps.observed());
    // The agent's own footprint is never still; alone it is no news.
    const comparable = JSON.stringify({ ...state, facts: { ...state.facts, agentResidentMiB: 0 } });
    if (!beat && comparable === this.#lastSent) return;
    this.#lastSent = comparable;
    this.#lastSentMs = performance.now();
    session.send({ type: "observed", state });
  }
}

/** A report as a server of that version takes it: what it does not know of it would refuse whole. */
function speaking(version: number, { facts, ...state }: ObservedState): ObservedState {
  if (version >= deviceVersion || facts.devices === undefined) return { ...state, facts };
  const { devices: _untold, ...others } = facts;
  return { ...state, facts: others };
}

/** Whether nothing at all answers at the server's address. */
function isNobodyThere(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
}
