import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { CommandError, runCommand } from "../src/command.ts";

test("a failing program's exit code and last words are in the error", async () => {
  await assert.rejects(
    runCommand(["sh", "-c", "echo out; echo why >&2; exit 3"]),
    (error: unknown) => error instanceof CommandError && error.exitCode === 3 && error.message.includes("why"),
  );
  assert.equal((await runCommand(["sh", "-c", "exit 3"], { allowFailure: true })).exitCode, 3);
});

test("an aborted signal ends the program and rejects with the signal's reason", async () => {
  const cancelled = new Error("cancelled by the test");
  const controller = new AbortController();
  const running = runCommand(["sleep", "60"], { signal: controller.signal });
  controller.abort(cancelled);
  await assert.rejects(running, cancelled);
});

test("lines arrive one by one and input reaches the program", async () => {
  const lines: string[] = [];
  const { stdout } = await runCommand(["cat"], { input: "a\nb\n", onLine: (line) => lines.push(line) });
  assert.equal(stdout, "a\nb\n");
  assert.deepEqual(lines, ["a", "b"]);
});

test("a program dies with a parent that is killed", async () => {
  const module = new URL("../src/command.ts", import.meta.url).href;
  const code = `import { runCommand } from ${JSON.stringify(module)}; await runCommand(["sh", "-c", "echo $$; exec sleep 60"], { onLine: (line) => console.log(line) });`;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [printed] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(printed.toString());
  assert.ok(existsSync(`/proc/${pid}`));
  parent.kill("SIGKILL");
  await once(parent, "exit");
  const deadline = Date.now() + 5_000;
  // An orphan that nobody has reaped yet is dead all the same.
  while (await isRunning(pid)) {
    assert.ok(Date.now() < deadline, `process ${pid} outlived its parent`);
    await new Promise((done) => setImmediate(done));
  }
});

async function isRunning(pid: number): Promise<boolean> {
  const { stdout } = await runCommand(["ps", "-o", "stat=", "-p", String(pid)], { allowFailure: true });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}
