import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Terminal } from "../src/output/terminal.ts";
import { buildProgram } from "../src/program.ts";

/* Pages, hints and remedies name commands for people to type: each of them exists, takes these flags, and lacks no argument. */

const root = fileURLToPath(new URL("../../..", import.meta.url));
const out = new PassThrough();
const program = buildProgram({
  terminal: { out, err: out, live: false } as unknown as Terminal,
  signal: new AbortController().signal,
});
/** Of the launcher, for who works on Skerry itself. */
const launcherWords = new Set(
  /^ *(check \|.*)\)$/m.exec(readFileSync(join(root, "skerry"), "utf8"))?.[1]?.split(" | ") ?? [],
);
/** It reads its own words. */
const ownParsers = new Set(["agent"]);

/** What is wrong with a command line, as a clause; undefined where nothing is. */
function faultOf(line: string): string | undefined {
  const words = line.trim().split(/\s+/);
  let command: Command = program;
  while (command.commands.length > 0) {
    const [word = ""] = words;
    if (command === program && launcherWords.has(word)) return undefined;
    if (word.startsWith("-") || word === "") break;
    const inner = command.commands.find((candidate) => candidate.name() === word);
    if (inner === undefined) return `there is no ${word}`;
    command = inner;
    words.shift();
  }
  if (ownParsers.has(command.name()) || words.length === 0) return undefined;
  const given = new Set<string>();
  let texts = 0;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (!word.startsWith("-")) {
      texts += 1;
      continue;
    }
    if (word === "--help") return undefined;
    const options = [...command.options, ...program.options];
    const option = options.find(({ long, short }) => word === long || word === short);
    if (option === undefined) return `${command.name()} has no ${word}`;
    given.add(option.long ?? word);
    if (option.required && words[at + 1] !== undefined) at += 1;
  }
  if (words.includes("…")) return undefined;
  const needed = command.registeredArguments.filter(({ required }) => required).length;
  if (texts < needed) return `${command.name()} needs ${needed} arguments and has ${texts}`;
  const missing = command.options.find(({ mandatory, defaultValue, long = "" }) => {
    return mandatory && defaultValue === undefined && !given.has(long);
  });
  return missing === undefined ? undefined : `${command.name()} lacks ${missing.long}`;
}

/** Commands in program text: values that are put in count as one word, and a sentence or string ends where a command does. */
function* commandsIn(source: string): Generator<string> {
  const text = source.replaceAll(/\$\{[^}]*\}/g, "X");
  for (const [, line = ""] of text.matchAll(/\bskerry ([a-z][^`"'\n\\();,#]*)/g)) {
    const [word = ""] = line.split(" ");
    const isCommand = program.commands.some((command) => command.name() === word);
    if (isCommand)
      yield line.replace(/\.(?:\s.*)?$/, "").replaceAll(/ (?:lists|then|and|as|in|or|is|does|of|with|says) .*$/g, "");
  }
}

/** Commands in the blocks of a page, whose lines may go on after a backslash. */
function* commandsOnPage(page: string): Generator<string> {
  for (const [, block = ""] of page.matchAll(/^```sh\n(.*?)^```/gms)) {
    const lines = block.replaceAll(/\\\n\s*/g, " ").split("\n");
    for (const line of lines) {
      const [, words] = /(?:^|\s)(?:\.\/)?skerry (.*)$/.exec(line.replace(/\s#.*$/, "")) ?? [];
      if (words !== undefined) yield words;
    }
  }
  for (const [, words = ""] of page.replaceAll(/^```.*?^```/gms, "").matchAll(/`(?:\.\/)?skerry ([^`]+)`/g))
    yield words;
}

function faultsIn(
  files: readonly string[],
  find: (text: string) => Iterable<string>,
): { count: number; faults: string[] } {
  let count = 0;
  const faults: string[] = [];
  for (const file of files) {
    for (const line of find(readFileSync(join(root, file), "utf8"))) {
      count += 1;
      const fault = faultOf(line);
      if (fault !== undefined) faults.push(`${file}: skerry ${line}: ${fault}`);
    }
  }
  return { count, faults };
}

describe("a command that is named", () => {
  test("on a page exists and takes what it is given there", () => {
    const pages = globSync(["*.md", "docs/**/*.md", "packages/*/README.md"], { cwd: root });
    const { count, faults } = faultsIn(pages, commandsOnPage);
    assert.ok(count > 25, `only ${count} were found`);
    assert.deepEqual(faults, []);
  });

  test("in a message exists and takes what it is given there", () => {
    const { count, faults } = faultsIn(globSync("packages/*/src/**/*.ts", { cwd: root }), commandsIn);
    assert.ok(count > 50, `only ${count} were found`);
    assert.deepEqual(faults, []);
  });

  test("and writes resources can be rehearsed, but for those that README tells of", () => {
    const unrehearsed = program.commands
      .filter(({ commands }) => commands.some((command) => command.name() === "list"))
      .flatMap((kind) => kind.commands.map((verb) => ({ path: `${kind.name()} ${verb.name()}`, verb })))
      .filter(({ verb }) => !verb.options.some(({ long }) => long === "--dry-run"))
      .map(({ path }) => path);
    const reads = /^audit |^context |^testbed | (?:list|show|console|log|forward|wait)$/;
    const rest = unrehearsed.filter((path) => !reads.test(path)).toSorted();
    assert.deepEqual(rest, ["image upload", "node provision", "user password", "user recovery-codes", "user totp"]);
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const path of rest) assert.ok(readme.includes(`\`${path}\``), path);
  });

  test("is told from one that is not there, or lacks something", () => {
    assert.equal(faultOf("instance list -o json"), undefined);
    assert.equal(faultOf("instance edit web"), "there is no edit");
    assert.equal(faultOf("instance show web --colour red"), "show has no --colour");
    assert.equal(faultOf("join-token create --site cadiz"), "create needs 1 arguments and has 0");
    assert.equal(faultOf("project create web"), "create lacks --organisation");
  });
});
