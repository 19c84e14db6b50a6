import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

let program: Promise<string> | undefined;

/** The agent for tests as one file, made once per test process: it starts in a fraction of the time that its sources take. */
export function agentProgram(): Promise<string> {
  program ??= make();
  return program;
}

async function make(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "skerry-agent-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, "agent.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./agent-main.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: "inline",
    logLevel: "silent",
    external: ["bufferutil", "utf-8-validate"],
    banner: {
      js: 'import { createRequire as testCreateRequire } from "node:module"; const require = testCreateRequire(import.meta.url);',
    },
  });
  return outfile;
}
