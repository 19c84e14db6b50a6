import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import type { DemoFlags } from "../commands/demo.ts";
import { readContexts, writeContexts } from "../contexts.ts";
import { formatDuration } from "../output/duration.ts";
import { printLines } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import { paint, type Terminal } from "../output/terminal.ts";
import type { CommandDeps } from "../command-deps.ts";
import { ended, type DemoControlPlane } from "./control-plane.ts";
import { demoProviders } from "./continuum.ts";
import { lockDemo } from "./demo-lock.ts";
import { openNarrator, type Narrator } from "./narrator.ts";
import type { DemoResult } from "./result.ts";
import type { Stage } from "./stage.ts";
import { demoServerLog, tellStory, type ToldStory } from "./story.ts";

/** Name of the context that a demo leaves behind while it runs. */
const contextName = "demo";

/** Tells the story on the best stage this machine has, shows what was seen, and strikes the stage at the end. */
export async function runDemo({ terminal, signal }: CommandDeps, flags: DemoFlags): Promise<void> {
  if (!Number.isInteger(flags.providers) || flags.providers < 2 || flags.providers > demoProviders.length) {
    throw new SkerryError("invalid-request", `--providers ${flags.providers}: from 2 to ${demoProviders.length}.`, {
      remedy: "Leave it out for 3.",
    });
  }
  const narrator = openNarrator(terminal);
  await using _place = flags.simulated === true ? undefined : await lockDemo(demoLock());
  const stage = await chooseStage(terminal, narrator, flags);
  const dataDir = stage.simulated ? join(tmpdir(), `skerry-demo-${process.pid}`) : "/var/lib/skerry/demo";
  let control: DemoControlPlane | undefined;
  const strike = async (): Promise<void> => {
    forgetContext();
    await control?.process.stop();
    await stage.strike(narrator);
    await rm(dataDir, { recursive: true, force: true });
  };
  let told: ToldStory;
  try {
    told = await tellStory(
      stage,
      narrator,
      {
        providers: flags.providers,
        dataDir,
        artifactsDir: stage.simulated ? join(dataDir, "artifacts") : join(flags.cacheDir, "agent"),
        port: flags.port,
      },
      signal,
      (started) => (control = started),
    );
    rememberContext(told.control);
  } catch (error) {
    narrator.say(paint(terminal.err, "red", "The story ends early; taking down what was built."));
    // What failed matters more than what then fails to go away.
    if (process.env["SKERRY_DEMO_KEEP"] === undefined)
      await strike().catch((problem: unknown) => narrator.say(`not all could be taken down: ${String(problem)}`));
    else narrator.say(`kept, as asked: ${dataDir}, log ${demoServerLog(dataDir)}`);
    throw error;
  }
  const { result } = told;
  const out = flags.json === true ? terminal.err : terminal.out;
  out.write(`\n${summary(terminal, result).join("\n")}\n`);
  if (flags.once !== true) {
    out.write(`\n${next(terminal).join("\n")}\n`);
    const { process: server } = told.control;
    const isOver = await Promise.race([untilAborted(signal), server.ended.then(() => true)]);
    // It ended by itself, or by someone's hand: without it nothing of the demo can be used.
    if (isOver && !signal.aborted) {
      const cause = await ended(demoServerLog(dataDir), "has ended");
      await strike();
      throw cause;
    }
  }
  await strike();
  if (flags.json === true) printLines(terminal, [JSON.stringify(result)]);
  if (!result.ok) throw new SkerryError("internal", "What was seen is not what was promised; the table says where.");
}

async function chooseStage(terminal: Terminal, narrator: Narrator, flags: DemoFlags): Promise<Stage> {
  const { missingPrerequisites } = await import("@skerry/testbed");
  const blocking =
    flags.simulated === true ? [] : (await missingPrerequisites()).filter((entry) => entry.name !== "packages");
  if (flags.simulated !== true && blocking.length === 0) {
    const { realStage } = await import("./real-stage.ts");
    return realStage(terminal, flags);
  }
  for (const entry of blocking) narrator.say(`${entry.cause}: ${entry.remedy}`);
  narrator.say(
    paint(
      terminal.err,
      "yellow",
      "SIMULATED: hosts and guests below are simulated; the control plane, agents and disk copies are real.",
    ),
  );
  const { simulatedStage } = await import("./simulated-stage.ts");
  return simulatedStage();
}

function summary(terminal: Terminal, result: DemoResult): string[] {
  const yes = (value: boolean) => (value ? paint(terminal.out, "green", "yes") : paint(terminal.out, "red", "NO"));
  const { migration } = result;
  return [
    ...tableLines(
      [
        { title: "INSTANCE", cell: (row) => row.name },
        { title: "PROVIDER", cell: (row) => row.provider },
        { title: "COUNTRY", cell: (row) => row.country },
        { title: "RUNS ON", cell: (row) => `${row.driver}/${row.accelerator}` },
        { title: "HTTP", cell: (row) => yes(row.httpOk) },
        { title: "BOOT", align: "right", cell: (row) => formatDuration(row.bootMs) },
      ],
      result.instances,
      (text) => paint(terminal.out, "bold", text),
    ),
    "",
    `Moved from ${migration.from} to ${migration.to}: data kept ${yes(migration.dataKept)}, address kept ${yes(migration.addressKept)}, digest equal ${yes(migration.digestEqual)}, ${formatDuration(migration.downtimeMs)} without service.`,
    `${result.nodes} nodes of ${result.providers} providers in ${formatDuration(result.totalMs)}${result.simulated ? paint(terminal.out, "yellow", " (simulated)") : ""}.`,
  ];
}

function next(terminal: Terminal): string[] {
  return [
    paint(terminal.out, "bold", "It runs on until Ctrl-C, which takes everything down. In another terminal:"),
    "  ./skerry node list",
    "  ./skerry instance list",
    "  ./skerry instance console web-berlin          # its serial line; Ctrl-] leaves",
    "  ./skerry instance forward web-berlin 8080:80  # then open http://127.0.0.1:8080",
    "  ./skerry instance migrate web-madrid --to-provider meseta --wait  # and back",
    "  ./skerry events",
  ];
}

function rememberContext(control: DemoControlPlane): void {
  const { contexts } = readContexts();
  const entry = {
    server: control.url,
    tokenFile: control.tokenFile,
    authorityFile: control.authorityFile,
    project: "demo",
  };
  writeContexts({ current: contextName, contexts: { ...contexts, [contextName]: entry } });
}

function forgetContext(): void {
  const { current, contexts } = readContexts();
  if (contexts[contextName] === undefined) return;
  const { [contextName]: _gone, ...others } = contexts;
  writeContexts({ contexts: others, ...(current === undefined || current === contextName ? {} : { current }) });
}

async function untilAborted(signal: AbortSignal): Promise<boolean> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return false;
}

/** Only root runs demos on real hosts. */
function demoLock(): string {
  return process.getuid?.() === 0
    ? "/run/skerry-demo.pid"
    : join(tmpdir(), `skerry-demo-${process.getuid?.() ?? 0}.pid`);
}
