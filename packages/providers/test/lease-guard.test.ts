import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../src/remote/lease-guard.sh", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "skerry-guard-"));
const leases = join(folder, "leases");
const sign = join(folder, "sign");
const children: ChildProcess[] = [];
// Names no guest of this machine has.
const over = `ins_${process.pid}over`;
const held = `ins_${process.pid}held`;

function uptime(): number {
  return Math.floor(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]));
}

/** A process that waits, of this program and with the words that libvirt gives a guest of this name. */
function guest(program: string, name: string): ChildProcess {
  const path = join(folder, program);
  if (!existsSync(path)) copyFileSync("/bin/sh", path);
  const child = spawn(path, ["-c", "read -r _", program, "-name", `guest=${name},debug-threads=on`]);
  children.push(child);
  return child;
}

describe("the lease guard", { skip: existsSync("/proc/uptime") ? false : "needs Linux" }, () => {
  after(() => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  test("kills the guest whose lease is over, again where it is started again, and nothing else", async () => {
    mkdirSync(leases);
    writeFileSync(join(leases, over), `${uptime() - 1}\n`);
    writeFileSync(join(leases, held), `${uptime() + 600}\n`);
    writeFileSync(join(leases, `${held}x`), "soon\n");
    const others = [guest("qemu-test", held), guest("qemu-test", `${over}s`), guest("sh-test", over)];
    const ended = guest("qemu-test", over);
    children.push(spawn("/bin/sh", [script, leases, sign], { stdio: "ignore" }));
    assert.deepEqual(await once(ended, "exit"), [null, "SIGKILL"]);
    assert.deepEqual(await once(guest("qemu-test", over), "exit"), [null, "SIGKILL"]);
    assert.deepEqual(
      others.map(({ signalCode, exitCode }) => [signalCode, exitCode]),
      others.map(() => [null, null]),
    );
  });

  test("kills once the moment has come, and shows that it watches", async () => {
    const child = guest("qemu-test", held);
    const began = uptime();
    writeFileSync(join(leases, held), `${began + 2}\n`);
    await once(child, "exit");
    assert.ok(uptime() >= began + 2);
    const deadline = performance.now() + 10_000;
    while (!existsSync(sign) && performance.now() < deadline) await delay(20);
    assert.ok(uptime() - Number(readFileSync(sign, "utf8")) <= 5);
  });
});
