import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { checkout } from "./checkout.ts";

const usage = `Usage: ./skerry bench NAME [ARGUMENT...]
       ./skerry bench --all

Runs one benchmark, with its own arguments, or each in turn. A benchmark is a file NAME.ts in bench/ or in a
package's bench/ folder; it keeps its raw samples under bench/results/.`;

function findBenchmarks(): Map<string, string> {
  const files = globSync(["bench/*.ts", "packages/*/bench/*.ts"], {
    cwd: checkout,
    exclude: ["**/node_modules/**"],
  });
  return new Map(files.toSorted().map((file) => [basename(file, ".ts"), file]));
}

async function runBenchmark(file: string, argv: readonly string[]): Promise<boolean> {
  process.stdout.write(`== ${file}\n`);
  const child = spawn(process.execPath, [...process.execArgv, join(checkout, file), ...argv], {
    cwd: checkout,
    stdio: "inherit",
  });
  await once(child, "exit");
  return child.exitCode === 0;
}

async function main([name, ...argv]: readonly string[]): Promise<number> {
  const benchmarks = findBenchmarks();
  const list = [...benchmarks].map(([key, file]) => `\n  ${key.padEnd(24)} ${file}`).join("") || "\n  (none yet)";
  if (name === undefined || name === "--help" || name === "-h") {
    process.stdout.write(`${usage}\n\nBenchmarks:${list}\n`);
    return 0;
  }
  if (name === "--all") {
    let failed = 0;
    for (const file of benchmarks.values()) if (!(await runBenchmark(file, argv))) failed += 1;
    return failed === 0 ? 0 : 1;
  }
  const file = benchmarks.get(name);
  if (file === undefined) {
    process.stderr.write(`There is no benchmark "${name}". These exist:${list}\n`);
    return 2;
  }
  return (await runBenchmark(file, argv)) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
