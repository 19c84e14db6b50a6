import { InvalidArgumentError, type Command } from "commander";
import { SkerryError } from "@skerry/model";
import type { Progress as TestbedProgress, TestbedOptions } from "@skerry/testbed";
import { openProgress, type Progress, type ProgressLine } from "../output/progress.ts";
import { printLines, renderValue } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import type { CommandDeps } from "../command-deps.ts";

interface UpFlags {
  readonly providers: number;
  readonly nodesPerProvider: number;
  readonly wanDelay: number;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly json?: boolean;
}

export function addTestbedCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const testbed = program
    .command("testbed")
    .description("a whole continuum on this machine: hosts that look like bare metal, behind a WAN");
  const folders = (command: Command) =>
    command
      .option("--state-dir <dir>", "what a running testbed owns", "/var/lib/skerry/testbed")
      .option("--cache-dir <dir>", "trees, images and packages, kept", "/var/cache/skerry");

  folders(testbed.command("up"))
    .description("build it, or complete what is there")
    .option("--providers <n>", "how many, 1 to 20", count, 3)
    .option("--nodes-per-provider <n>", "hosts of each, 1 to 20", count, 1)
    .option("--wan-delay <ms>", "one-way delay of each provider's link", count, 10)
    .option("--json", "print what there is as JSON")
    .action(async (flags: UpFlags) => {
      const { bringUp, installPrerequisites } = await import("@skerry/testbed");
      const progress = await openProgress(terminal);
      const show = testbedProgress(progress);
      const built = await translate(async () => {
        await installPrerequisites(show, signal);
        return bringUp(optionsOf(flags), show, signal);
      }).finally(() => progress.finish());
      if (flags.json ?? false) return renderValue(terminal, built, "json");
      printLines(
        terminal,
        tableLines(
          [
            { title: "HOST", cell: (host) => host.name },
            { title: "PROVIDER", align: "right", cell: (host) => String(host.provider) },
            { title: "ADDRESS", cell: (host) => host.address },
            { title: "PACKAGES", cell: (host) => host.packages },
            { title: "HOST KEY", cell: (host) => host.hostKeyFingerprint },
          ],
          built.hosts,
        ),
      );
      terminal.err.write(
        `Reach one: ssh -i ${built.sshPrivateKeyPath} ${built.sshUser}@${built.hosts[0]?.address ?? "ADDRESS"}\n`,
      );
    });

  folders(testbed.command("down"))
    .description("remove every process, mount, namespace and control group of it")
    .action(async (flags: UpFlags) => {
      const { takeDown } = await import("@skerry/testbed");
      const progress = await openProgress(terminal);
      await translate(() => takeDown(optionsOf(flags), testbedProgress(progress), signal)).finally(() =>
        progress.finish(),
      );
    });

  folders(testbed.command("status"))
    .description("print what is running, as JSON")
    .action(async (flags: UpFlags) => {
      const { describeTestbed } = await import("@skerry/testbed");
      const found = await translate(() => describeTestbed(optionsOf(flags)));
      if (found === undefined) terminal.err.write("No testbed is up. Build one: skerry testbed up\n");
      else await renderValue(terminal, found, "json");
    });
}

function optionsOf(flags: UpFlags): TestbedOptions {
  return {
    stateDir: flags.stateDir,
    cacheDir: flags.cacheDir,
    providers: flags.providers ?? 3,
    nodesPerProvider: flags.nodesPerProvider ?? 1,
    wanDelayMs: flags.wanDelay ?? 10,
  };
}

/** Gathers a testbed's events into progress lines, one per step, in order of appearance. */
export function testbedProgress(progress: Progress): TestbedProgress {
  const lines = new Map<string, ProgressLine>();
  return ({ step, detail, done, total, elapsedMs }) => {
    lines.set(step, {
      label: step,
      state: elapsedMs === undefined ? "running" : "done",
      message: detail,
      done,
      total,
      unit: "items",
      elapsedMs,
    });
    progress.update([...lines.values()]);
  };
}

/** The testbed's own errors as the catalogue's, so that every command fails alike. */
export async function translate<T>(work: () => Promise<T>): Promise<T> {
  const { TestbedError } = await import("@skerry/testbed");
  try {
    return await work();
  } catch (error) {
    if (error instanceof TestbedError)
      throw new SkerryError("conflict", error.message, { remedy: error.remedy, cause: error });
    throw error;
  }
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("not a whole number");
  return value;
}
