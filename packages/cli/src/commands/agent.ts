import type { Command } from "commander";
import type { CommandDeps } from "../command-deps.ts";

/** The agent has a command line of its own, since on a node it runs without this one; here it is only passed on. */
export function addAgentCommands(program: Command, { signal }: CommandDeps): void {
  program
    .command("agent")
    .description("make this host a node, and run it: agent join, agent run, agent --help")
    .helpOption(false)
    .allowUnknownOption()
    .argument("[words...]")
    .action(async (words: readonly string[]) => {
      const { agentCommand } = await import("@skerry/agent");
      const io = { input: process.stdin, output: process.stdout, errors: process.stderr };
      process.exitCode = await agentCommand(words, io, signal);
    });
}
