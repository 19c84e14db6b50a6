import { Option, type Command } from "commander";
import { SkerryError, kindWord, type OperationResource } from "@skerry/model";
import { concludeMutation, showPlan } from "../mutation.ts";
import { moveReportLines, moveReportOf } from "../output/move-lines.ts";
import { printLines } from "../output/render.ts";
import { openSession, withMutation, type Session } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { given, toNumber } from "./flag-values.ts";

/** What can be taken out of use for a while: how that is called, and what is on it. */
const holders = {
  Node: { verb: "drain", held: "its instances" },
  Site: { verb: "evacuate", held: "instances on its nodes" },
  Provider: { verb: "evacuate", held: "instances on its nodes" },
} as const;
type Holder = keyof typeof holders;

/** `cordon`, `uncordon`, and `drain` or `evacuate` of nodes, sites and providers. */
export function addMaintenanceCommands(program: Command, deps: CommandDeps): void {
  for (const kind of Object.keys(holders) as Holder[]) {
    const parent = program.commands.find((command) => command.name() === kindWord(kind));
    if (parent === undefined) throw new Error("the kind commands come first");
    addCordon(parent, kind, deps);
    addEvacuation(parent, kind, deps);
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
  set("cordon", `let nothing new come there; ${holders[kind].held} stay`, false);
  set("uncordon", "let new instances come there again", null);
}

interface PaceFlags {
  readonly maxParallel?: number;
  readonly onBlocked?: string;
  readonly ignoreBudgets?: boolean;
  readonly deadline?: number;
  readonly plan?: boolean;
  readonly dryRun?: boolean;
}

function withPace(command: Command): Command {
  return withMutation(command)
    .option("--max-parallel <number>", "how many may be on the move at once; 2 where absent", toNumber)
    .option("--ignore-budgets", "move also what disruption budgets would keep up")
    .option("--deadline <seconds>", "when to give up and take back; a day where absent", toNumber)
    .option("--plan", "the same as --dry-run: what would move where, and what could not");
}

function addEvacuation(parent: Command, kind: Holder, { terminal, signal }: CommandDeps): void {
  const { verb, held } = holders[kind];
  withPace(parent.command(`${verb} <name>`))
    .description(`cordon it and move ${held} away, a few at a time and within disruption budgets`)
    .addOption(
      new Option("--on-blocked <what>", "what can't be moved: wait for it, or skip it and end").choices([
        "wait",
        "skip",
      ]),
    )
    .action(async (name: string, flags: PaceFlags, self: Command) => {
      const session = await openSession(terminal, self);
      const key = session.key(kind, name);
      const { maxParallel, onBlocked, ignoreBudgets, deadline } = flags;
      const input = given({ maxParallel, onBlocked, ignoreBudgets, deadlineSeconds: deadline });
      if ((flags.plan ?? false) || (flags.dryRun ?? false))
        return showPlan(terminal, session, kind, key, { verb: "action", action: verb, input }, signal);
      const mutation = await session.client.action(kind, key, verb, input, {}, signal);
      await concludeMutation(terminal, session, "cordoned, and being emptied", mutation, signal);
      if (session.wait && mutation.operation !== undefined)
        await reportMoves({ terminal, signal }, session, mutation.operation);
    });
}

/** Says what was moved. @throws SkerryError conflict where something is left: nobody switches a host off after a success that was none */
export async function reportMoves(
  { terminal, signal }: Pick<CommandDeps, "terminal" | "signal">,
  session: Session,
  { metadata: { name }, spec }: OperationResource,
): Promise<void> {
  const report = moveReportOf(await session.client.get("Operation", { name }, signal));
  if (report === undefined) return;
  if (session.output === "table") printLines(terminal, moveReportLines(report));
  if (report.complete) return;
  const left = report.left.length + (report.leftMore ?? 0);
  throw new SkerryError(
    "conflict",
    `${left} ${left === 1 ? "instance is" : "instances are"} left on ${spec.targets[0]?.name}.`,
    {
      remedy: `Change what keeps them there, or stop them, and ask again; why: skerry operation show ${name}`,
    },
  );
}
