import { timestamp } from "@skerry/model";
import type { Log } from "./operations/log.ts";

/** One JSON object per line: `{"time":…,"level":…,"message":…, …facts}`; an Error among the facts is written with its stack and causes. */
export function makeJsonLog(write: (line: string) => void, nowMs: () => number): Log {
  const line =
    (level: string) =>
    (facts: object, message: string): void => {
      const entry = { time: timestamp(nowMs()), level, message, ...facts };
      write(`${JSON.stringify(entry, (_key, value: unknown) => (value instanceof Error ? describe(value) : value))}\n`);
    };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

function describe(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${describe(error.cause)}` : own;
}
