import { SkerryError } from "@skerry/model";
import type { WatchEvent } from "./client.ts";
import type { Transport } from "./transport.ts";

/** Longest pause between tries to come back, milliseconds. */
const maxPauseMs = 10_000;

/** Every change after `since`, over server-sent events, coming back at the last revision seen after each break. */
export async function* watchEvents(transport: Transport, since: number, signal: AbortSignal): AsyncGenerator<WatchEvent, void, void> {
  let revision = since;
  let pauseMs = 100;
  while (!signal.aborted) {
    try {
      const response = await transport.send({ method: "GET", path: "/api/v1/events", query: { since: revision }, headers: { accept: "text/event-stream" }, signal });
      if (response.body === null) throw new SkerryError("unavailable", "The event stream has no body.");
      for await (const event of parseEvents(response.body)) {
        revision = event.revision;
        pauseMs = 100;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SkerryError && error.code !== "unavailable") throw error;
      // A broken stream or an unreachable server: both end by coming back.
    }
    await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  }
}

/** Parses a server-sent event stream (WHATWG HTML, 9.2.6); events without data (heartbeats) are passed over. */
export async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<WatchEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  let data = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data !== "") yield JSON.parse(data) as WatchEvent;
        data = "";
      } else if (line.startsWith("data:")) {
        data += line.slice(line.startsWith("data: ") ? 6 : 5);
      }
    }
  }
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
