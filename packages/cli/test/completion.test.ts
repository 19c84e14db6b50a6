import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { completionScript } from "../src/completion.ts";
import type { Terminal } from "../src/output/terminal.ts";
import { buildProgram } from "../src/program.ts";

const out = new PassThrough();
const terminal = { out, err: out, live: false } as unknown as Terminal;
const program = buildProgram({ terminal, signal: new AbortController().signal });

/** What bash offers for the last of these words. */
function offered(...words: readonly string[]): string[] {
  const script = `${completionScript(program, "bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _skerry; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", script, "bash", "skerry", ...words], { encoding: "utf8" })
    .trim()
    .split("\n");
}

describe("completion in bash", () => {
  test("offers commands, their verbs and the flags of each", () => {
    assert.deepEqual(offered("inst"), ["instance"]);
    assert.deepEqual(offered("instance", "re"), ["reboot", "resize"]);
    assert.deepEqual(offered("instance", "create", "--on"), ["--on-disconnect"]);
    assert.deepEqual(offered("apply", "--dry"), ["--dry-run"]);
    assert.deepEqual(offered("events", "--si"), ["--since"]);
  });

  test("finds the command again behind names, flags and their values", () => {
    assert.deepEqual(offered("instance", "-p", "web", "migr"), ["migrate"]);
    assert.deepEqual(offered("instance", "create", "web", "--network", "lan", "--ima"), ["--image"]);
    assert.deepEqual(offered("--verbose", "node", "prov"), ["provision"]);
  });
});
