import type { Command } from "commander";
import { concludeMutation, followOperation, operationSummary, showPlan } from "../mutation.ts";
import { openSession, withConnection, withMutation } from "../session.ts";
import { renderValue } from "../output/render.ts";
import type { CommandDeps } from "../command-deps.ts";

export function addOperationCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const operation = program.commands.find((command) => command.name() === "operation");
  if (operation === undefined) throw new Error("the kind commands come first");

  withConnection(operation.command("wait <name>"))
    .description("follow one to its end, showing its steps; the exit code tells how it ended")
    .action(async (name: string, _flags: unknown, self: Command) => {
      const session = await openSession(terminal, self);
      const ended = await followOperation(
        terminal,
        session,
        await session.client.get("Operation", { name }, signal),
        signal,
      );
      if (session.output === "table") terminal.out.write(`${operationSummary(ended)}\n`);
      else await renderValue(terminal, ended, session.output);
    });

  withMutation(operation.command("cancel <name>"))
    .description("ask one to stop and take back what it did")
    .action(async (name: string, flags: { dryRun?: boolean }, self: Command) => {
      const session = await openSession(terminal, self);
      if (flags.dryRun ?? false)
        return showPlan(terminal, session, "Operation", { name }, { verb: "action", action: "cancel" }, signal);
      await concludeMutation(
        terminal,
        session,
        "asked to stop",
        await session.client.action("Operation", { name }, "cancel", {}, {}, signal),
        signal,
      );
    });
}
