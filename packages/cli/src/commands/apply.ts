import type { Command } from "commander";
import { SkerryError, planLimits } from "@skerry/model";
import type { PlannedApply } from "@skerry/sdk";
import type { CommandDeps } from "../command-deps.ts";
import { exitCodes } from "../exit-code.ts";
import { concludeMutation } from "../mutation.ts";
import { reportFailure } from "../output/failure.ts";
import { appliedPlan, appliedPlanLines, appliedPlanValue, isEmptyPlan, nameOf } from "../output/plan-lines.ts";
import { printLines, renderValue } from "../output/render.ts";
import { paint, printable, type Terminal } from "../output/terminal.ts";
import { isYes } from "../question.ts";
import { openSession, withMutation, type Session } from "../session.ts";
import { labelsOf } from "./labels.ts";
import { findPrunable, prune, type PruneSet, type Pruning } from "./prune.ts";
import { inDocument, readWishes, type FileWish } from "./wish-files.ts";

const defaultManager = "skerry-cli";

interface ApplyFlags {
  readonly file: readonly string[];
  readonly fieldManager: string;
  readonly forceConflicts?: boolean;
  readonly plan?: boolean;
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly label?: readonly string[];
  readonly yes?: boolean;
}

/** Server-side apply of what files describe. */
export function addApplyCommand(program: Command, deps: CommandDeps): void {
  withMutation(program.command("apply"))
    .description("make what YAML or JSON files describe come true, and keep what others have set beside it")
    .requiredOption("-f, --file <path...>", "file, or folder of .yaml and .json files")
    .option("--field-manager <name>", "who applies: what it names is its own from then on", defaultManager)
    .option("--force-conflicts", "take over fields that other managers have with other values")
    .option(
      "--plan",
      "show what would change, change nothing; exit 2 where something would, 0 where nothing, 1 on errors",
    )
    .option("--prune", "delete what this manager has made and the files no longer describe")
    .option(
      "-l, --label <key=value...>",
      "with --prune: only what has these labels, which all files' resources then need",
    )
    .option("-y, --yes", "with --prune: do not ask")
    .action(async (flags: ApplyFlags, self: Command) => {
      if (flags.plan !== true) return void (await apply(deps, flags, self));
      try {
        process.exitCode = (await apply(deps, flags, self)) ? exitCodes.changes : exitCodes.ok;
      } catch (error) {
        if (deps.signal.aborted) throw error;
        // Whoever asks by the exit code must not take an error for a change.
        const code = reportFailure(
          deps.terminal,
          error,
          self.optsWithGlobals<{ verbose?: boolean }>().verbose ?? false,
        );
        process.exitCode = code === exitCodes.changes ? exitCodes.failure : code;
      }
    });
}

/** Whether anything would change, where it only plans. */
async function apply({ terminal, signal }: CommandDeps, flags: ApplyFlags, self: Command): Promise<boolean> {
  const set = pruneSetOf(flags, self);
  const session = await openSession(terminal, self);
  const wishes = await readWishes(flags.file, session);
  checkLabels(wishes, set);
  const pruning = set === undefined ? { gone: [], kept: [] } : await findPrunable(session.client, set, wishes, signal);
  for (const { kind, key, managers } of pruning.kept)
    terminal.err.write(printable(`${nameOf(kind, key)} stays: ${managers.join(", ")} has fields of it.`) + "\n");
  if (flags.plan === true || flags.dryRun === true) return showPlan(terminal, session, flags, wishes, pruning, signal);
  if (pruning.gone.length > 0) await confirm(terminal, flags, pruning, signal);
  const options = { fieldManager: flags.fieldManager, force: flags.forceConflicts };
  const changes: number[] = [];
  for (const wish of wishes) {
    const { kind, key, spec, labels } = wish;
    const mutation = await session.client
      .apply(kind, key, { spec, labels }, options, signal)
      .catch((error: unknown) => {
        throw inDocument(error, wish);
      });
    if (mutation.revision !== undefined) changes.unshift(mutation.revision);
    await concludeMutation(terminal, session, mutation.result ?? "applied", mutation, signal);
  }
  if (session.output === "table") sayWayBack(terminal, changes);
  if (set !== undefined) await prune(terminal, session, set, pruning.gone, signal);
  return false;
}

/** Shown whole up to so many; each has its own in `-o json`. */
const mostShown = 20;

function sayWayBack(terminal: Terminal, changes: readonly number[]): void {
  if (changes.length === 0) return;
  const more = changes.length > mostShown ? " … (each line above names its own)" : "";
  const words = `  take it back: skerry undo ${changes.slice(0, mostShown).join(" ")}${more}`;
  terminal.err.write(`${paint(terminal.err, "dim", words)}\n`);
}

async function showPlan(
  terminal: Terminal,
  session: Session,
  flags: ApplyFlags,
  wishes: readonly FileWish[],
  { gone }: Pruning,
  signal: AbortSignal,
): Promise<boolean> {
  // One rehearsal of all, so that what stands on an earlier one finds it there.
  const request: PlannedApply = {
    fieldManager: flags.fieldManager,
    ...(flags.forceConflicts === true ? { force: true } : {}),
    resources: wishes.map(({ kind, key, labels, spec }) => ({
      kind,
      metadata: { ...key, ...(labels === undefined ? {} : { labels }) },
      spec,
    })),
    deletions: gone.map(({ kind, key }) => ({ kind, metadata: key })),
  };
  checkRehearsable(request);
  const isNothing = wishes.length + gone.length === 0;
  const foreseen = isNothing ? { changes: [], quota: [], cost: [] } : await session.client.planApply(request, signal);
  const plan = appliedPlan(foreseen, wishes, gone);
  if (session.output === "table") printLines(terminal, appliedPlanLines(terminal, plan));
  else await renderValue(terminal, appliedPlanValue(plan), session.output);
  return !isEmptyPlan(plan);
}

/** @throws SkerryError invalid-request where it is not said what may be deleted */
function pruneSetOf({ prune, label = [], fieldManager }: ApplyFlags, self: Command): PruneSet | undefined {
  if (prune !== true) {
    if (label.length === 0) return undefined;
    throw new SkerryError("invalid-request", "--label narrows what --prune deletes, and there is no --prune.", {
      remedy: "Write labels into the files; add --prune to delete what they no longer describe.",
    });
  }
  if (label.length > 0 || self.getOptionValueSource("fieldManager") === "cli")
    return { manager: fieldManager, labels: label };
  throw new SkerryError(
    "invalid-request",
    `--prune does not say what belongs together: ${defaultManager} may have applied other files too.`,
    {
      remedy:
        "Give these files a manager of their own, each time: --field-manager NAME; or a label that they all have: --label KEY=VALUE.",
    },
  );
}

/** What lacks the labels would never be found again. */
function checkLabels(wishes: readonly FileWish[], set: PruneSet | undefined): void {
  const needed = Object.entries(labelsOf(set?.labels));
  for (const { kind, key, labels = {}, where } of wishes) {
    const missing = needed.find(([name, value]) => labels[name] !== value);
    if (missing === undefined) continue;
    throw new SkerryError(
      "invalid-request",
      `${where}: ${nameOf(kind, key)} lacks the label ${missing.join("=")}, by which --prune finds what belongs to these files.`,
      {
        remedy: "Add it to its metadata.labels.",
      },
    );
  }
}

/** @throws SkerryError where the answer is not yes, or nobody can be asked */
async function confirm(terminal: Terminal, flags: ApplyFlags, { gone }: Pruning, signal: AbortSignal): Promise<void> {
  if (flags.yes === true) return;
  const names = gone.map(({ kind, key }) => printable(`- ${nameOf(kind, key)}`));
  if (!process.stdin.isTTY) {
    throw new SkerryError(
      "invalid-request",
      `--prune would delete ${gone.length} resources, and nobody can be asked here.`,
      {
        remedy: "See them with --plan, then add --yes.",
      },
    );
  }
  terminal.err.write(`${names.join("\n")}\n`);
  if (await isYes(terminal, `Delete ${gone.length} once the files are applied? [y/N] `, signal)) return;
  throw new SkerryError("operation-cancelled", "Nothing was applied, and nothing deleted.");
}

/** Later ones are rehearsed on earlier ones, so they can't go in parts. @throws SkerryError too-large */
function checkRehearsable(request: PlannedApply): void {
  const { resources: most, bytes } = planLimits;
  const count = request.resources.length + (request.deletions?.length ?? 0);
  const sent = Buffer.byteLength(JSON.stringify(request));
  if (count <= most && sent <= bytes) return;
  const what = count > most ? `${count} resources` : `${sent} bytes of resources`;
  throw new SkerryError(
    "too-large",
    `A plan takes at most ${most} resources and ${bytes} bytes at once; here are ${what}.`,
    {
      remedy:
        "Plan and apply file by file, those first that others stand on; or apply without a plan, which sends them one by one.",
    },
  );
}
