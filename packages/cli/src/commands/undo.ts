import type { Command } from "commander";
import { SkerryError, fieldName, kindWord } from "@skerry/model";
import type { Undo, UndoPlan, UndoneChange, UndoneObject } from "@skerry/sdk";
import type { CommandDeps } from "../command-deps.ts";
import { followOperation } from "../mutation.ts";
import { costLines } from "../output/cost-lines.ts";
import { changeLines, quotaLines } from "../output/plan-lines.ts";
import { printLines, renderValue } from "../output/render.ts";
import { paint, printable, type Terminal } from "../output/terminal.ts";
import { isYes } from "../question.ts";
import { openSession, withMutation, type Session } from "../session.ts";

interface UndoFlags {
  readonly plan?: boolean;
  readonly dryRun?: boolean;
  readonly partial?: boolean;
  readonly yes?: boolean;
}

/** Takes back what somebody changed. */
export function addUndoCommand(program: Command, { terminal, signal }: CommandDeps): void {
  withMutation(program.command("undo <change...>"))
    .description(
      "take back what a change did: named by its operation, or by the revision that its answer gave; several one after the other, the last one first",
    )
    .option("--plan", "show what would change, change nothing (as --dry-run)")
    .option("--partial", "leave what was changed since, or can't be taken back, and take back the rest")
    .option("-y, --yes", "do not ask, where it destroys something")
    .action(async (words: readonly string[], flags: UndoFlags, self: Command) => {
      const changes = words.map(changeOf);
      const session = await openSession(terminal, self);
      const options = flags.partial === true ? { partial: true } : {};
      const isPlan = flags.plan === true || flags.dryRun === true;
      if (isPlan && changes.length > 1) {
        throw new SkerryError("invalid-request", "A plan is of one undo: the next one stands on what that did.", {
          remedy: "Name one change.",
        });
      }
      for (const [index, change] of changes.entries()) {
        const plan = await session.client.planUndo(change, options, signal);
        if (isPlan) return showUndoPlan(terminal, session, plan);
        await confirm(terminal, flags, plan.undone, signal);
        const undo = await session.client.undo(change, options, signal);
        // What comes next may stand on what this one's operation does.
        await conclude(terminal, session, undo, session.wait || index < changes.length - 1, signal);
      }
    });
}

/** @throws SkerryError invalid-request for what is neither */
function changeOf(word: string): UndoneChange {
  if (/^[1-9][0-9]{0,14}$/.test(word)) return { revision: Number(word) };
  if (/^[a-z][-a-z0-9]*$/.test(word)) return { operation: word };
  throw new SkerryError("invalid-request", `"${word}" names no change.`, {
    remedy: "Give an operation's name (skerry operation list) or a revision, as the answer to a change tells it.",
  });
}

async function showUndoPlan(terminal: Terminal, session: Session, plan: UndoPlan): Promise<void> {
  if (session.output !== "table") return renderValue(terminal, plan, session.output);
  for (const one of plan.undone) printLines(terminal, undoneLines(terminal, one, "would be"));
  for (const change of plan.changes) printLines(terminal, changeLines(terminal, change));
  const effects = [...quotaLines(plan.quota), ...costLines(plan.cost)];
  if (effects.length > 0) printLines(terminal, effects);
}

async function conclude(
  terminal: Terminal,
  session: Session,
  undo: Undo,
  wait: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { undone, operation, revision } = undo;
  if (session.output === "table")
    for (const one of undone) terminal.err.write(`${undoneLines(terminal, one, "").join("\n")}\n`);
  else await renderValue(terminal, undo, session.output);
  const dim = (text: string): void => void terminal.err.write(`${paint(terminal.err, "dim", text)}\n`);
  // What it destroyed no undo brings back.
  if (revision !== undefined && undone.every(({ destroys }) => destroys === undefined))
    dim(`  do it again after all: skerry undo ${revision}`);
  if (operation === undefined) return;
  if (wait) await followOperation(terminal, session, operation, signal);
  else dim(`  follow it: skerry operation wait ${operation.metadata.name}`);
}

/** @throws SkerryError where something would be destroyed, and nobody says yes */
async function confirm(
  terminal: Terminal,
  { yes = false }: UndoFlags,
  undone: readonly UndoneObject[],
  signal: AbortSignal,
): Promise<void> {
  const lost = undone.flatMap((one) => (one.destroys === undefined ? [] : [`${objectName(one)}: ${one.destroys}`]));
  if (lost.length === 0 || yes) return;
  if (!process.stdin.isTTY) {
    throw new SkerryError("invalid-request", `This destroys ${lost.join("; ")}; and nobody can be asked here.`, {
      remedy: "See it with --plan, then add --yes.",
    });
  }
  terminal.err.write(printable(`This destroys ${lost.join("; ")}.`) + "\n");
  if (await isYes(terminal, "Go on? [y/N] ", signal)) return;
  throw new SkerryError("operation-cancelled", "Nothing was undone.");
}

/** `network shop/lan restored: spec.egress`, and what is to be known of it. */
function undoneLines(terminal: Terminal, one: UndoneObject, modal: string): string[] {
  const { way, fields = [], left = [], notes = [], destroys } = one;
  const names = (pointers: readonly string[]): string => pointers.map(fieldName).join(", ");
  const what = [objectName(one), modal, way.replace("-", " ")].filter((word) => word !== "").join(" ");
  const also = [
    ...(left.length === 0 ? [] : [`stays as it is now: ${names(left)}`]),
    ...(destroys === undefined ? [] : [`destroys ${destroys}`]),
    ...notes,
  ];
  return [
    printable(`${what}${fields.length === 0 ? "" : `: ${names(fields)}`}`),
    ...also.map((text) => paint(terminal.err, "dim", printable(`  ${text}`))),
  ];
}

function objectName({ kind, project, name }: UndoneObject): string {
  return `${kindWord(kind)} ${project === undefined ? name : `${project}/${name}`}`;
}
