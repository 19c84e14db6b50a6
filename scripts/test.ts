import { execFileSync } from "node:child_process";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { checkout } from "./checkout.ts";
import { formatTotals, seconds } from "./testing/report.ts";
import type { Totals } from "./testing/report.ts";
import { runTier, skipTier } from "./testing/run-tier.ts";
import { missingLessons, securityLessons } from "./testing/security-lessons.ts";
import { findTests, tierOf, tiers } from "./testing/tier.ts";

const usage = `Usage: ./skerry test [--nightly] [--only REGEX] [PATH...]
       ./skerry test security

Runs the tests in tiers: unit and contract tests in parallel, then test/real/ (real guests; root on Debian),
and with --nightly also test/nightly/. With "security": lists what others have paid for and the test of each, and runs these.

  --nightly      also run the long tier
  --only REGEX   only files whose path matches
  PATH           only these files or folders

Random tests start at SKERRY_TEST_SEED: the commit's own, with --nightly another one each time.`;

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Random tests of one commit start at one seed; the long tier's look for what these don't find. */
function seedOfCommit(): string {
  try {
    const hash = execFileSync("git", ["rev-parse", "HEAD"], { cwd: checkout, encoding: "utf8", stdio: "pipe" });
    return String(Number.parseInt(hash.slice(0, 7), 16));
  } catch {
    return "1";
  }
}

const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(name, () => interrupt.abort(new Error(`stopped by ${name}`)));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { nightly: { type: "boolean" }, only: { type: "string" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  if (values.help === true) {
    write(usage);
    return 0;
  }
  if (positionals[0] === "security") {
    for (const { lesson, paid, file, test } of securityLessons) write(`${lesson} (${paid})\n     ${file}: ${test}`);
    const missing = missingLessons();
    for (const { file, test } of missing) write(`MISSING ${file}: ${test}`);
    if (missing.length > 0) return 1;
    positionals.splice(0, positionals.length, ...new Set(securityLessons.map(({ file }) => join(checkout, file))));
    write("");
  }
  const only = values.only === undefined ? undefined : new RegExp(values.only);
  const files = findTests(positionals, process.cwd()).filter((file) => only?.test(relative(checkout, file)) ?? true);
  if (values.nightly !== true) process.env["SKERRY_TEST_SEED"] ??= seedOfCommit();
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const tier of tiers) {
    const chosen = files.filter((file) => tierOf(file) === tier.name);
    if (chosen.length === 0 || (tier.name === "nightly" && values.nightly !== true)) continue;
    const obstacle = tier.obstacle();
    const startMs = performance.now();
    const added =
      obstacle === undefined
        ? await runTier(tier, chosen, write, interrupt.signal)
        : skipTier(tier, chosen, obstacle, write);
    totals.passed += added.passed;
    totals.failed += added.failed;
    totals.skipped += added.skipped;
    write(`---- ${tier.name.padEnd(7)} ${seconds(performance.now() - startMs)}  of ${tier.budgetMs / 1000} s allowed`);
  }
  const count = totals.passed + totals.failed + totals.skipped;
  if (count === 0) write("no tests ran: nothing matches, or there are none in packages/*/test");
  write(formatTotals(totals));
  return totals.failed > 0 || count === 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
  process.exitCode = 2;
}
