import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { checkout } from "../checkout.ts";
import { tierOf } from "../testing/tier.ts";

type Report = { passed: number; failed: number; skipped: number; report: string };

async function runFixtures(budgetMs: number, ...names: readonly string[]): Promise<Report> {
  const script = join(checkout, "scripts", "fixtures", "testing", "run.ts");
  // Without this variable node:test takes the inner run for a part of this one, and skips it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(budgetMs), ...names], { env });
  return JSON.parse(stdout) as Report;
}

const patientMs = 60_000;

describe("the test runner", { concurrency: true }, () => {
  test("counts tests, not files, suites or tests with subtests", async () => {
    const { passed, failed, skipped } = await runFixtures(patientMs, "mixed");
    assert.deepEqual({ passed, failed, skipped }, { passed: 3, failed: 1, skipped: 1 });
  });

  test("prints a failure with its path, its difference and what the file wrote", async () => {
    const { report } = await runFixtures(patientMs, "mixed");
    assert.match(report, /a suite > fails/);
    assert.match(report, /1 !== 2/);
    assert.match(report, /what the test wrote/);
  });

  test("fails a file that throws while loading, and shows what it threw", async () => {
    const { failed, report } = await runFixtures(patientMs, "broken");
    assert.equal(failed, 1);
    assert.match(report, /thrown while loading/);
  });

  test("fails a file that exits with 0 before it reported a test", async () => {
    assert.equal((await runFixtures(patientMs, "silent")).failed, 1);
  });

  test("ends a file that hangs at the budget, names the test and counts a failure", async () => {
    const { failed, passed, report } = await runFixtures(5000, "hung");
    // The hanging test, and the process that ignored SIGTERM.
    assert.deepEqual({ passed, failed }, { passed: 1, failed: 2 });
    assert.match(report, /budget was used up\n\s+unfinished: waits for ever/);
  });

  test("does not start what is left when the budget is used up", async () => {
    const { failed, report } = await runFixtures(1, "mixed", "broken", "silent");
    assert.equal(failed, 3);
    assert.match(report, /not started/);
  });

  test("kills and reports a process that outlives its test", { skip: !existsSync("/proc/self/environ") }, async () => {
    const { passed, failed, report } = await runFixtures(patientMs, "littering");
    assert.deepEqual({ passed, failed }, { passed: 1, failed: 1 });
    const pid = Number(/killed: (\d+) sleep 3600/.exec(report)?.[1]);
    assert.ok(!existsSync(`/proc/${pid}/exe`));
  });

  test("takes a test's tier from its folder", () => {
    const of = (path: string): string => tierOf(join(checkout, "packages", "agent", "test", path));
    assert.equal(of("journal.test.ts"), "unit");
    assert.equal(of("real/guest.test.ts"), "real");
    assert.equal(of("nightly/debian.test.ts"), "nightly");
  });
});
