/** One remark of the agent: facts for programs, a message for people. */
export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** One JSON object per line: `{"time":…,"level":…,"message":…, …facts}`. Errors are written with their causes; stacks only of defects. */
export function makeJsonLog(write: (line: string) => void, nowMs: () => number): Log {
  const line =
    (level: string) =>
    (facts: object, message: string): void => {
      const entry = { time: new Date(nowMs()).toISOString(), level, message, ...facts };
      write(`${JSON.stringify(entry, (_key, value: unknown) => (value instanceof Error ? describe(value) : value))}\n`);
    };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

function describe(error: Error): string {
  const expected = "code" in error;
  const own = expected ? error.message : (error.stack ?? error.message);
  return error.cause instanceof Error && !own.includes(error.cause.message)
    ? `${own}; caused by: ${describe(error.cause)}`
    : own;
}
