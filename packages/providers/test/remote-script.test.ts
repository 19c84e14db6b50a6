import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { scriptNames, scriptText, wholeOrNothing } from "../src/remote-script.ts";

test("every script is one that a POSIX shell can read, and is used", () => {
  const files = readdirSync(new URL("../src/remote", import.meta.url)).map((file) => file.replace(/\.sh$/, ""));
  assert.deepEqual(files.toSorted(), [...scriptNames].toSorted());
  for (const name of scriptNames) {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: wholeOrNothing(scriptText(name)), encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""], name);
  }
});

test("a script that arrives in part runs nothing of it, wherever it was cut", () => {
  const whole = wholeOrNothing('echo "ran $1"\ncat\nif true; then\n  echo more\nfi\n');
  for (let length = 0; length <= whole.length; length++) {
    const { stdout } = spawnSync("/bin/sh", ["-s", "--", "it"], { input: whole.slice(0, length), encoding: "utf8" });
    // The last character is a newline.
    assert.equal(stdout, length < whole.length - 1 ? "" : "ran it\nmore\n", `cut after ${length}`);
  }
});
