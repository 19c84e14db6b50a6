import { SkerryError } from "@skerry/model";
import type { RunProgram } from "./run.ts";

/** Runs lines of `ip` or `bridge` in one process, up to the first that fails; nothing for none. */
export async function batch(
  run: RunProgram,
  program: "ip" | "bridge",
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (lines.length > 0) await run([program, "-batch", "-"], signal, `${lines.join("\n")}\n`);
}

/** Removes entries of a forwarding table, of which some may age out meanwhile; one that stays is found again by the next look. */
export async function forget(run: RunProgram, lines: readonly string[], signal: AbortSignal): Promise<void> {
  if (lines.length === 0) return;
  try {
    await run(["bridge", "-force", "-batch", "-"], signal, `${lines.join("\n")}\n`);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SkerryError)) throw error;
  }
}
