import { Problem, SkerryError, fromProblem, parserOf, type KindName } from "@skerry/model";
import type { WatchEvent } from "./client.ts";
import type { Transport } from "./transport.ts";

/** A stream that brings not even a heartbeat (the server sends one each 15 s) has broken without telling. */
const silenceMs = 45_000;
/** Longest pause between tries to come back, milliseconds. */
const maxPauseMs = 10_000;

const parseProblem = parserOf(Problem, "problem");

/**
 * Every change after `since`, over server-sent events, coming back after each break where the stream had come to.
 * @throws SkerryError with the problem by which the server ended it, where coming back is no use
 */
export async function* watchEvents(
  transport: Transport,
  since: number,
  kinds: readonly KindName[] | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void, void> {
  let revision = since;
  let pauseMs = 100;
  while (!signal.aborted) {
    const silent = new AbortController();
    const connection = AbortSignal.any([signal, silent.signal]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), silenceMs);
    };
    try {
      heard();
      const query = { since: revision, kinds: kinds?.join(",") };
      const response = await transport.send({
        method: "GET",
        path: "/api/v1/events",
        query,
        headers: { accept: "text/event-stream" },
        signal: connection,
      });
      if (response.body === null) throw new SkerryError("unavailable", "The event stream has no body.");
      for await (const { event, data } of parseFrames(response.body)) {
        heard();
        if (event === "problem") throw fromProblem(parseProblem(data));
        // Heartbeats count too: they tell of changes that this reader does not see.
        revision = (data as { revision: number }).revision;
        pauseMs = 100;
        if (event === "change") yield data as WatchEvent;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SkerryError && error.code !== "unavailable") throw error;
      // A broken stream or an unreachable server: both end by coming back.
    } finally {
      clearTimeout(timer);
    }
    await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  }
}

export interface EventFrame {
  readonly event: string;
  /** Parsed JSON. */
  readonly data: unknown;
}

/** Parses a stream of server-sent events (WHATWG HTML, 9.2.6); those without data are passed over. */
export async function* parseFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<EventFrame, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  let event = "message";
  let data = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data !== "") yield { event, data: JSON.parse(data) as unknown };
        event = "message";
        data = "";
      } else if (line.startsWith("data:")) {
        data += fieldValue(line);
      } else if (line.startsWith("event:")) {
        event = fieldValue(line);
      }
    }
  }
}

function fieldValue(line: string): string {
  const value = line.slice(line.indexOf(":") + 1);
  return value.startsWith(" ") ? value.slice(1) : value;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
