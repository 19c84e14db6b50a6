import type { Command } from "commander";
import { kindWord } from "@skerry/model";
import { concludeMutation, showPlan } from "../mutation.ts";
import { openSession, withMutation } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";

/** What can be taken out of use for a while, and what is on it. */
const holders = { Node: "its instances", Site: "its nodes' instances", Provider: "its nodes' instances" } as const;
type Holder = keyof typeof holders;

/** `cordon` and `uncordon` of nodes, sites and providers. */
export function addMaintenanceCommands(program: Command, deps: CommandDeps): void {
  for (const kind of Object.keys(holders) as Holder[]) {
    const parent = program.commands.find((command) => command.name() === kindWord(kind));
    if (parent === undefined) throw new Error("the kind commands come first");
    addCordon(parent, kind, deps);
  }
}

function addCordon(parent: Command, kind: Holder, { terminal, signal }: CommandDeps): void {
  const set = (verb: "cordon" | "uncordon", what: string, schedulable: false | null): void => {
    withMutation(parent.command(`${verb} <name>`))
      .description(what)
      .action(async (name: string, { dryRun = false }: { readonly dryRun?: boolean }, self: Command) => {
        const session = await openSession(terminal, self);
        const key = session.key(kind, name);
        const patch = { spec: { schedulable } };
        if (dryRun) return showPlan(terminal, session, kind, key, { verb: "patch", patch }, signal);
        const changed = await session.client.patch(kind, key, patch, {}, signal);
        await concludeMutation(terminal, session, `${verb}ed`, changed, signal);
      });
  };
  set("cordon", `let nothing new come there; ${holders[kind]} stay`, false);
  set("uncordon", "let new instances come there again", null);
}
