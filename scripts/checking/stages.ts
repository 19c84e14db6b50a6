import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkout, tool } from "../checkout.ts";
import { findViolations } from "./boundaries.ts";
import { runCommand } from "./command.ts";
import { proveBoundaries, proveLint } from "./proof.ts";
import { findShapeFaults } from "./shape.ts";

/** One question that `./skerry check` asks; its answer is what is wrong, or "" when nothing is. */
export type Stage = { readonly name: string; readonly run: (signal: AbortSignal) => Promise<string> };

const reference = join(checkout, "scripts", "reference.ts");

/** The slow ones first, so that two cores share them well. */
export const stages: readonly Stage[] = [
  { name: "types", run: command(tool("tsc"), ["--project", checkout]) },
  { name: "dead code", run: command(tool("knip"), ["--no-progress", "--no-config-hints"]) },
  { name: "lint", run: command(tool("oxlint"), ["--type-aware", "--deny-warnings"]) },
  { name: "lint bites", run: async (signal) => (await proveLint(signal)).join("\n") },
  { name: "format", run: command(tool("oxfmt"), ["--check"]) },
  {
    name: "boundaries",
    run: async () =>
      findViolations(checkout)
        .map(({ file, line, message }) => `${file}:${line}  ${message}`)
        .join("\n"),
  },
  { name: "boundaries bite", run: async () => proveBoundaries().join("\n") },
  { name: "shape of files", run: async () => findShapeFaults(checkout).join("\n") },
  ...(existsSync(reference) ? [{ name: "reference pages", run: node([reference, "--check"]) }] : []),
];

/** What `--fix` does before the stages run; format comes last, since a fix may leave a line too long. */
export const fixes: readonly Stage[] = [
  { name: "lint --fix", run: command(tool("oxlint"), ["--type-aware", "--fix"], "may fail") },
  ...(existsSync(reference) ? [{ name: "reference pages", run: node([reference]) }] : []),
  { name: "format", run: command(tool("oxfmt"), []) },
];

function command(program: string, argv: readonly string[], tolerance?: "may fail"): Stage["run"] {
  return async (signal) => {
    const { ok, output } = await runCommand(program, argv, signal);
    if (ok || tolerance !== undefined) return "";
    return output.trim() === "" ? `${program} failed and wrote nothing` : output;
  };
}

function node(argv: readonly string[]): Stage["run"] {
  return command(process.execPath, [...process.execArgv, ...argv]);
}
