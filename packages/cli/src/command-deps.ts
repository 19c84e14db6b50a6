import type { Terminal } from "./output/terminal.ts";

/** Everything a command needs from outside; `signal` aborts at Ctrl-C. */
export interface CommandDeps {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}
