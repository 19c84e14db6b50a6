import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { SkerryError, isKindName, kindNames, optional, strict, toProblem, type KindName } from "@skerry/model";
import type { ChangeEvent } from "@skerry/store";
import { Type } from "typebox";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { principalKey } from "../limits/request-limits.ts";
import type { ApiDeps } from "./deps.ts";
import { reachedRevision } from "./reached-revision.ts";
import { represent } from "./representation.ts";
import { LiveEvents, type LiveReader } from "./live-events.ts";
import type { Call, GuardedRoute } from "./route.ts";

/** Shorter than what proxies usually allow a silent connection. */
const eventHeartbeatMs = 15_000;
/** A reader that takes nothing for so long is gone. */
const stalledMs = 60_000;

const EventQuery = strict({
  since: optional(Type.String({ pattern: "^[0-9]{1,15}$", description: "a revision; now where absent" })),
  kinds: optional(Type.String({ maxLength: 300, description: "Instance,Operation: only changes of these" })),
});

/** `GET /api/v1/events`: every change that the token may see, once and in order, as server-sent events. */
export function eventRoute(deps: ApiDeps): GuardedRoute {
  let live: LiveEvents | undefined;
  return {
    method: "GET",
    path: "/api/v1/events",
    operationId: "watchEvents",
    summary:
      "Streams every change after a revision, none skipped, none twice. Each `change` carries its revision as its id; a " +
      "`heartbeat` carries how far the stream has come; a `problem` says why it ends.",
    tag: "Events",
    access: "any-token",
    query: EventQuery,
    requestHeaders: ["Last-Event-ID"],
    replies: { 200: { description: "Server-sent events.", contentType: "text/event-stream" } },
    handle: async (call) => {
      using _place = deps.limits.streams.enter(principalKey(call.principal));
      live ??= liveEvents(deps);
      await serve(deps, live, call);
      return undefined;
    },
  };
}

function liveEvents({ store, rights, stopping }: ApiDeps): LiveEvents {
  const live = new LiveEvents(store, rights.roles, changeFrame);
  stopping.addEventListener("abort", () => live.close(), { once: true });
  return live;
}

async function serve(deps: ApiDeps, live: LiveEvents, call: Call): Promise<void> {
  const kinds = readKinds(call.query.kinds);
  let reached = readSince(call, deps.store.revision);
  // A watcher that comes from another replica may have seen more than this one has yet; if that never comes, it is told below.
  await reachedRevision(deps.store, String(reached)).catch(() => undefined);
  using held = deps.tokens.hold(call.principal);
  const gone = new AbortController();
  const signal = AbortSignal.any([held.signal, deps.stopping, gone.signal]);
  // A revision that is not kept any more is refused here, while the answer can still be a plain problem.
  let changes = deps.store.changes(reached, signal);

  call.reply.hijack();
  const response = call.reply.raw;
  response.on("close", () => gone.abort());
  response.on("error", () => gone.abort());
  if (response.closed) gone.abort();
  // It ends with its connection, so that what is written to that goes out as it is: in chunks, or through the layers of a reply, a
  // frame would cost the double, and there are thousands of readers.
  response.useChunkedEncodingByDefault = false;
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.write(`retry: 1000\n\n${heartbeat(reached)}`);
  const socket = response.socket ?? (await turnOf(response, signal));
  if (socket === undefined) {
    response.end();
    return;
  }
  let isLive = false;
  // Changes that this reader may not see still move it on, so that it never comes back to a revision long forgotten.
  const timer = setInterval(() => {
    if (socket.writableLength === 0) socket.write(heartbeat(isLive ? deps.store.revision : reached));
  }, eventHeartbeatMs);
  try {
    while (!signal.aborted) {
      // From the log while it is behind; there is no turn between its last change and joining, so that none is missed.
      for await (const event of reached === deps.store.revision ? [] : changes) {
        if (signal.aborted) break;
        reached = event.revision;
        const isFor = kinds?.has(event.kind) !== false && sees(call.principal, event.object);
        if (isFor && !socket.write(changeFrame(event))) await drained(socket, signal);
        if (reached === deps.store.revision) break;
      }
      if (signal.aborted || reached !== deps.store.revision) break;
      isLive = true;
      reached = await followLive(live, socket, { ...audience(call.principal), kinds }, signal);
      isLive = false;
      await drained(socket, signal);
      if (!signal.aborted) changes = deps.store.changes(reached, signal);
    }
    if (held.signal.aborted) socket.write(problemFrame(held.signal.reason));
  } catch (error) {
    if (!(error instanceof SkerryError)) deps.log.error({ error }, "an event stream broke");
    socket.write(problemFrame(error));
  } finally {
    clearInterval(timer);
    response.end();
  }
}

/** The connection, once requests that came before this one on it have been answered. */
async function turnOf(response: ServerResponse, signal: AbortSignal): Promise<Socket | undefined> {
  try {
    return ((await once(response, "socket", { signal })) as [Socket])[0];
  } catch {
    return undefined; // It was cut, or the stream has to end before it began.
  }
}

/** What a principal may see, as live readers say it: a filter only where the place alone does not tell. */
function audience(principal: Principal): Pick<LiveReader, "project" | "sees"> {
  const { rights } = principal;
  const place = { project: rights.projects?.length === 1 ? rights.projects[0] : undefined };
  const each = kindNames.every((kind) => rights.allow("read", kind, place));
  return { ...place, sees: each ? undefined : (event) => sees(principal, event.object) };
}

function readSince(call: Call, now: number): number {
  const last = call.headers["last-event-id"];
  if (last === undefined) return Number(call.query.since ?? now);
  if (typeof last === "string" && /^[0-9]{1,15}$/.test(last)) return Number(last);
  throw new SkerryError("invalid-request", "Last-Event-ID is not a revision.");
}

function readKinds(text: string | undefined): ReadonlySet<KindName> | undefined {
  if (text === undefined) return undefined;
  return new Set(
    text.split(",").map((word) => {
      if (isKindName(word)) return word;
      throw new SkerryError("invalid-request", `There is no kind "${word}".`, {
        remedy: "Write kinds as Instance,Operation.",
      });
    }),
  );
}

/** Passes on what comes until the reader is too slow for it, or the signal aborts; returns how far it came. */
async function followLive(
  live: LiveEvents,
  socket: Socket,
  reader: Omit<LiveReader, "take">,
  signal: AbortSignal,
): Promise<number> {
  const behind = Promise.withResolvers<number>();
  let last = 0;
  const leave = live.join({
    ...reader,
    take(frames, revision) {
      last = revision;
      if (socket.write(frames)) return;
      leave();
      behind.resolve(revision);
    },
  });
  const end = (): void => behind.resolve(last);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await behind.promise;
  } finally {
    signal.removeEventListener("abort", end);
    leave();
  }
}

async function drained(socket: Socket, signal: AbortSignal): Promise<void> {
  if (signal.aborted || !socket.writableNeedDrain) return;
  const limit = AbortSignal.timeout(stalledMs);
  try {
    await once(socket, "drain", { signal: AbortSignal.any([signal, limit]) });
  } catch (error) {
    if (limit.aborted) socket.destroy();
    else if (!signal.aborted) throw error;
  }
}

/** Frames of late, so that thousands who watch the same change share one. */
const frames = new WeakMap<ChangeEvent, Buffer>();

function changeFrame(event: ChangeEvent): Buffer {
  const known = frames.get(event);
  if (known !== undefined) return known;
  const { revision, type, object, json } = event;
  const shown = represent(object);
  const text = shown === object ? json : JSON.stringify(shown);
  const data = `{"revision":${revision},"type":"${type}","object":${text}}`;
  const made = Buffer.from(`id: ${revision}\nevent: change\ndata: ${data}\n\n`);
  frames.set(event, made);
  return made;
}

function heartbeat(revision: number): string {
  return frame("heartbeat", revision, { revision });
}

function problemFrame(error: unknown): string {
  return `event: problem\ndata: ${JSON.stringify(toProblem(error))}\n\n`;
}

function frame(event: string, id: number, data: unknown): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
