import { CommanderError } from "commander";
import { exitCodes } from "./exit-code.ts";
import { reportFailure } from "./output/failure.ts";
import { openTerminal } from "./output/terminal.ts";
import { buildProgram } from "./program.ts";

const interrupt = new AbortController();
const terminal = openTerminal();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    // The second one does not wait for what the first one asked for.
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort(new DOMException("interrupted", "AbortError"));
  });
}
// A reader that closes early (`| head`) ends the command, quietly.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
});

const program = buildProgram({ terminal, signal: interrupt.signal });
try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  } else if (interrupt.signal.aborted) {
    process.exitCode = exitCodes.interrupted;
  } else {
    process.exitCode = reportFailure(terminal, error, program.opts<{ verbose?: boolean }>().verbose ?? false);
  }
}
