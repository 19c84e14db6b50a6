import { inspect, parseArgs, styleText } from "node:util";
import { fixes, stages } from "./checking/stages.ts";
import type { Stage } from "./checking/stages.ts";

const usage = `Usage: ./skerry check [--fix]

Asks of the whole checkout: types, lint, format, boundaries between packages (and whether these rules still bite),
dead code, shape of files, reference pages.

  --fix   first mend what can be mended by itself, and format`;

/** As many as the machine that the budget is measured on has cores. */
const concurrency = 2;

async function runStage(stage: Stage, signal: AbortSignal): Promise<boolean> {
  const startMs = performance.now();
  // A tool that can't even start fails its own stage; the others still answer.
  const fault = await stage.run(signal).catch((error: unknown) => inspect(error));
  const mark = fault === "" ? styleText("green", "ok  ") : styleText("red", "FAIL");
  const time = `${((performance.now() - startMs) / 1000).toFixed(2).padStart(7)} s`;
  process.stdout.write(`${mark} ${time}  ${stage.name}\n${fault === "" ? "" : `${fault.trimEnd()}\n`}`);
  return fault === "";
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { fix: { type: "boolean" }, help: { type: "boolean", short: "h" } } });
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { signal } = new AbortController();
  if (values.fix === true) {
    for (const fix of fixes) await runStage(fix, signal);
  }
  const queue = [...stages];
  let failed = 0;
  const work = async (): Promise<void> => {
    for (let stage = queue.shift(); stage !== undefined; stage = queue.shift()) {
      if (!(await runStage(stage, signal))) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
  process.exitCode = 2;
}
