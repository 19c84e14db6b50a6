import { agentCommand } from "./command.ts";

/* The agent as a program of its own: what a node runs. */
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
const io = { input: process.stdin, output: process.stdout, errors: process.stderr };
process.exitCode = await agentCommand(process.argv.slice(2), io, stop.signal);
