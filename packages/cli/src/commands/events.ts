import type { Command } from "commander";
import { openSession, withConnection } from "../session.ts";
import { paint } from "../output/terminal.ts";
import type { CommandDeps } from "../command-deps.ts";
import { toNumber } from "./flag-values.ts";

export function addEventsCommand(program: Command, { terminal, signal }: CommandDeps): void {
  withConnection(program.command("events"))
    .description("print every change as it happens, none skipped, none twice")
    .option("--since <revision>", "from this revision on; from now on where absent", toNumber)
    .action(async (flags: { since?: number }, self: Command) => {
      const session = await openSession(terminal, self);
      const since = flags.since ?? (await session.client.list("Project", { limit: 1 }, signal)).revision;
      const colours = { created: "green", updated: "yellow", deleted: "red" } as const;
      for await (const event of session.client.watch(since, signal)) {
        if (session.output !== "table") {
          terminal.out.write(`${JSON.stringify(event)}\n`);
          continue;
        }
        const { kind, metadata } = event.object;
        const name = metadata.project === undefined ? metadata.name : `${metadata.project}/${metadata.name}`;
        terminal.out.write(
          `${String(event.revision).padStart(8)}  ${paint(terminal.out, colours[event.type], event.type)}  ${kind} ${name}\n`,
        );
      }
    });
}
