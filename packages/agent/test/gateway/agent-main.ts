import { makeJsonLog } from "../../src/log.ts";
import { runAgent } from "../../src/run-agent.ts";
import type { AgentOptions } from "../../src/options.ts";

/* An agent as a process of its own, for tests that kill it; its options come as JSON in the first argument. */
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("stopped")));
const options = JSON.parse(process.argv[2] ?? "{}") as AgentOptions;
await runAgent(
  options,
  makeJsonLog(
    (line) => process.stderr.write(line),
    () => Date.now(),
  ),
  stop.signal,
);
