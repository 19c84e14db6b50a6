import type { Command } from "commander";
import type { OperationResource } from "@skerry/model";
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
    .description(
      "ask one to stop and take back what it did; what an instance start, stop, reboot or resize asked stays asked",
    )
    .action(async (name: string, flags: { dryRun?: boolean }, self: Command) => {
      const session = await openSession(terminal, self);
      if (flags.dryRun ?? false)
        return showPlan(terminal, session, "Operation", { name }, { verb: "action", action: "cancel" }, signal);
      const mutation = await session.client.action("Operation", { name }, "cancel", {}, {}, signal);
      const stays = session.output === "table" ? whatStays(mutation.operation ?? mutation.resource) : undefined;
      try {
        await concludeMutation(terminal, session, "asked to stop", mutation, signal);
      } finally {
        if (stays !== undefined) terminal.err.write(`${stays}\n`);
      }
    });
}

/** Of an operation that only watches a wish come true: the wish outlives it. Undefined for those that are taken back. */
export function whatStays({ spec }: OperationResource): string | undefined {
  const [target] = spec.targets;
  if (target === undefined) return undefined;
  const name = target.project === undefined ? target.name : `${target.project}/${target.name}`;
  const back = takesBack[spec.type]?.(name);
  return back && `${spec.type.replace(".", " ")} is watched no more, but what was asked stays: ${back}`;
}

const takesBack: Readonly<Record<string, (name: string) => string>> = {
  "instance.start": (name) => `stop it again with skerry instance stop ${name}`,
  "instance.stop": (name) => `start it again with skerry instance start ${name}`,
  "instance.reboot": (name) => `${name} reboots all the same`,
  "instance.resize": (name) => `give it its old size with skerry instance resize ${name}; a disk does not shrink`,
};
