import { createInterface } from "node:readline/promises";
import type { Terminal } from "./output/terminal.ts";

/** Asks whoever is at the terminal; anything but yes is no. */
export async function isYes(terminal: Terminal, question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: terminal.err });
  try {
    return /^y(es)?$/i.test((await lines.question(question, { signal })).trim());
  } finally {
    lines.close();
  }
}
