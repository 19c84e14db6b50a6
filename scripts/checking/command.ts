import { spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { checkout } from "../checkout.ts";

/** How a child process ended, and what it wrote to both of its outputs. */
export type Outcome = { readonly ok: boolean; readonly output: string; readonly stdout: string };

// Tools that start with "env node" get the Node that runs this, not whichever the machine has.
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}` };

/** Runs a program in the checkout and collects its output; `argv` never passes through a shell. */
export async function runCommand(program: string, argv: readonly string[], signal: AbortSignal): Promise<Outcome> {
  const child = spawn(program, argv, { cwd: checkout, env, stdio: ["ignore", "pipe", "pipe"], signal });
  const both: string[] = [];
  const out: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    both.push(text);
    out.push(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => both.push(text));
  return new Promise((settle, reject) => {
    child.once("error", reject);
    child.once("close", (code) => settle({ ok: code === 0, output: both.join(""), stdout: out.join("") }));
  });
}
