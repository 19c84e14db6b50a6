import { SkerryError, fieldName } from "@skerry/model";
import { exitCodeOf, exitCodes } from "../exit-code.ts";
import { paint, printable, type Terminal } from "./terminal.ts";

/** What is wrong with fields; nothing where the one that is was told already. */
function fieldLines({ message, errors = [] }: SkerryError): string[] {
  const [only, ...others] = errors;
  if (only !== undefined && others.length === 0 && message.includes(only.message)) return [];
  return errors.map(({ path, message: words }) => `${fieldName(path)} ${words}`);
}

/** Prints what went wrong and what to do next; gives the exit code. A defect prints its stack only with `verbose`. */
export function reportFailure(terminal: Terminal, error: unknown, verbose: boolean): number {
  if (!(error instanceof SkerryError)) {
    const stack = error instanceof Error ? (verbose ? error.stack : error.message) : String(error);
    terminal.err.write(`${paint(terminal.err, "red", "error")} ${stack ?? "unknown"}\n`);
    if (!verbose)
      terminal.err.write(`${paint(terminal.err, "dim", "  once more with --verbose for where it came from")}\n`);
    return exitCodes.failure;
  }
  terminal.err.write(`${paint(terminal.err, "red", `error ${error.code}`)} ${printable(error.message)}\n`);
  for (const line of fieldLines(error)) terminal.err.write(`  ${printable(line)}\n`);
  if (error.remedy !== undefined)
    terminal.err.write(`  ${paint(terminal.err, "cyan", "do")} ${printable(error.remedy)}\n`);
  if (verbose && error.cause instanceof Error)
    terminal.err.write(`${paint(terminal.err, "dim", `  ${error.cause.stack ?? ""}`)}\n`);
  return exitCodeOf(error.code);
}
