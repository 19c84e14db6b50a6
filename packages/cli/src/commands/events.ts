import type { Command } from "commander";
import { openSession, withConnection } from "../session.ts";
import { ChangeLines } from "../output/change-lines.ts";
import { renderValue } from "../output/render.ts";
import type { CommandDeps } from "../command-deps.ts";
import { toNumber } from "./flag-values.ts";

export function addEventsCommand(program: Command, { terminal, signal }: CommandDeps): void {
  withConnection(program.command("events"))
    .description("print every change as it happens, none twice; as text without what was only seen again")
    .option("--since <revision>", "from this revision on; from now on where absent", toNumber)
    .action(async (flags: { since?: number }, self: Command) => {
      const session = await openSession(terminal, self);
      const since = flags.since ?? (await session.client.list("Project", { limit: 1 }, signal)).revision;
      const lines = new ChangeLines(terminal);
      for await (const event of session.client.watch(since, signal)) {
        switch (session.output) {
          case "table": {
            const line = lines.line(event, Date.now());
            if (line !== undefined) terminal.out.write(`${line}\n`);
            break;
          }
          case "json":
            // A line each, so that programs can read them as they come.
            terminal.out.write(`${JSON.stringify(event)}\n`);
            break;
          case "yaml":
            terminal.out.write("---\n");
            await renderValue(terminal, event, "yaml");
        }
      }
    });
}
