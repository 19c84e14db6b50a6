import { Option, type Command } from "commander";
import type { CommandDeps } from "../command-deps.ts";
import { toNumber } from "./flag-values.ts";

export interface DemoFlags {
  readonly providers: number;
  readonly once?: boolean;
  readonly json?: boolean;
  readonly simulated?: boolean;
  readonly port: number;
  readonly stateDir: string;
  readonly cacheDir: string;
}

export function addDemoCommand(program: Command, deps: CommandDeps): void {
  program
    .command("demo")
    .description(
      "see what Skerry is for: bare hosts become edge sites, one workload runs at every provider, then moves",
    )
    .addOption(new Option("--providers <n>", "how many providers, 2 to 11").argParser(toNumber).default(3))
    .option("--once", "take everything down at the end")
    .option("--json", "end with one JSON object")
    .option("--simulated", "on simulated hosts, even where real ones would run")
    .addOption(new Option("--port <port>", "port of the control plane").argParser(toNumber).default(7440))
    .option("--state-dir <dir>", "where the running testbed lives", "/var/lib/skerry/testbed")
    .option("--cache-dir <dir>", "trees, images and packages, kept for the next time", "/var/cache/skerry")
    .action(async (flags: DemoFlags) => {
      const { runDemo } = await import("../demo/demo.ts");
      await runDemo(deps, flags);
    });
}
