/** A control plane in a process of its own that tells how long it took to start, what it takes, and its longest pauses. */
import { PerformanceObserver, monitorEventLoopDelay } from "node:perf_hooks";
import { startServer } from "@skerry/server";

/** What the parent may ask; each question has one answer. */
export type ServerQuestion = "figures" | "reset" | "collect" | "close";

export interface ServerFigures {
  /** From the start of the process until it answers. */
  readonly startMs: number;
  readonly residentMiB: number;
  readonly heapMiB: number;
  readonly externalMiB: number;
  /** The longest time that the event loop was held since the last reset. */
  readonly longestPauseMs: number;
  readonly longestGcMs: number;
  readonly cpuMs: number;
}

export interface ServerReady {
  readonly port: number;
  readonly caFile: string;
  readonly adminTokenFile: string;
  readonly figures: ServerFigures;
}

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let longestGcMs = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) longestGcMs = Math.max(longestGcMs, entry.duration);
}).observe({ entryTypes: ["gc"] });

const stop = new AbortController();
const server = await startServer(
  {
    dataDir: process.argv[2] ?? "",
    listen: [{ host: "127.0.0.1", port: 0 }],
    advertise: [],
    version: "0.0.0-bench",
    writeLog: (line) => {
      if (process.env["SKERRY_BENCH_LOG"] !== undefined) process.stderr.write(line);
    },
  },
  stop.signal,
);
const startMs = performance.now();

function figures(): ServerFigures {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const mebi = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return {
    startMs: Math.round(startMs),
    residentMiB: mebi(rss),
    heapMiB: mebi(heapUsed),
    externalMiB: mebi(external),
    longestPauseMs: Math.round(delay.max / 1e6),
    longestGcMs: Math.round(longestGcMs),
    cpuMs: Math.round((user + system) / 1000),
  };
}

process.on("message", (question: ServerQuestion) => {
  switch (question) {
    case "figures":
      process.send?.(figures());
      return;
    case "collect":
      globalThis.gc?.();
      process.send?.(figures());
      return;
    case "reset":
      delay.reset();
      longestGcMs = 0;
      process.send?.(figures());
      return;
    case "close":
      void server.close().then(() => process.exit(0));
  }
});
const { url, caFile, adminTokenFile } = server;
process.send?.({ port: Number(new URL(url).port), caFile, adminTokenFile, figures: figures() } satisfies ServerReady);
