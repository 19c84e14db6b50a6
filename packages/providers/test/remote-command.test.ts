import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { remoteCommand } from "../src/remote-command.ts";

/** What a POSIX shell makes of a command line: the words that printf was given. */
function wordsSeenByShell(line: string): readonly string[] {
  const output = execFileSync("sh", ["-c", line], { encoding: "utf8", env: { HOME: "/home/x" } });
  return output.split("\0").slice(0, -1);
}

describe("a remote command", () => {
  test("gives every word on as it is, whatever it holds", () => {
    const nasty = fc.constantFrom(
      "'",
      '"',
      "\\",
      "$(id)",
      "`id`",
      "$HOME",
      "\n",
      "\r",
      "\t",
      ";",
      "&&",
      "|",
      ">",
      "*",
      "~",
      "!",
      "#",
      "-",
      "--",
      "é",
      "\u{1f600}",
      "",
    );
    const word = fc
      .oneof(
        fc.string({ unit: "binary", maxLength: 20 }),
        fc.array(nasty, { maxLength: 6 }).map((parts) => parts.join("")),
      )
      .filter((text) => !text.includes("\0") && text.isWellFormed());
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        assert.deepEqual(wordsSeenByShell(remoteCommand(["printf", String.raw`%s\0`, ...words])), words);
      }),
      { numRuns: 150 },
    );
  });

  test("quotes the program too", () => {
    assert.throws(() => execFileSync("sh", ["-c", remoteCommand(["echo injected; true"])], { stdio: "pipe" }));
  });

  test("refuses what no argument can hold", () => {
    assert.throws(() => remoteCommand(["printf", "a\0b"]), TypeError);
    assert.throws(() => remoteCommand(["printf", "\ud800"]), TypeError);
    assert.throws(() => remoteCommand(["printf", "x".repeat(128 * 1024)]), TypeError);
  });
});
