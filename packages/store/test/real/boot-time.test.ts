import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { bootTimeMs } from "../../src/postgres/boot-time.ts";

const module = join(import.meta.dirname, "../../src/postgres/boot-time.ts");
const program = `import { bootTimeMs } from ${JSON.stringify(module)}; process.stdout.write(String(bootTimeMs()));`;

/** What a process reads whose kernel has moved one of its clocks on. */
function readWith(clock: "--boottime" | "--monotonic", seconds: number): number {
  const argv = ["--time", clock, String(seconds), process.execPath, "--input-type=module", "-e", program];
  return Number(execFileSync("unshare", argv, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
}

test("the clock by which a leader knows how long it heard nothing is the one that counts suspended time", () => {
  const before = bootTimeMs();
  const suspended = readWith("--boottime", 86_400);
  const awake = readWith("--monotonic", 86_400);
  const after = bootTimeMs();
  assert.ok(suspended >= before + 86_400_000 && suspended <= after + 86_400_000, `${before} ${suspended} ${after}`);
  assert.ok(awake >= before && awake <= after, `${before} ${awake} ${after}`);
});
