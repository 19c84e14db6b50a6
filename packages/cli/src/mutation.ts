import { SkerryError, fromProblem, kindWord, type KindName, type OperationResource } from "@skerry/model";
import type { Mutation, PlannedMutation, ResourceKey } from "@skerry/sdk";
import { costLines } from "./output/cost-lines.ts";
import { formatDuration } from "./output/duration.ts";
import { moveLines } from "./output/move-lines.ts";
import { openProgress, type ProgressLine } from "./output/progress.ts";
import { changeLines, quotaLines } from "./output/plan-lines.ts";
import { printLines, renderValue } from "./output/render.ts";
import { paint, type Terminal } from "./output/terminal.ts";
import type { Session } from "./session.ts";

/** Prints what a mutation did; with `--wait` follows its operation to the end. @throws SkerryError where the operation failed */
export async function concludeMutation<K extends KindName>(
  terminal: Terminal,
  session: Session,
  verb: string,
  mutation: Mutation<K>,
  signal: AbortSignal,
): Promise<void> {
  const { resource, operation, secret, revision } = mutation;
  if (secret !== undefined) terminal.err.write("The secret below is shown this once; keep it safe.\n");
  if (session.output !== "table") await renderValue(terminal, mutation, session.output);
  else if (secret !== undefined) terminal.out.write(`${secret}\n`);
  else {
    // By either of these it is undone.
    const change =
      operation === undefined
        ? revision === undefined
          ? ""
          : ` (revision ${revision})`
        : ` (operation ${operation.metadata.name})`;
    terminal.err.write(`${kindWord(resource.kind)} ${resource.metadata.name} ${verb}${change}\n`);
  }
  const reason = resource.kind === "Instance" ? resource.assignment?.reason : undefined;
  if (reason !== undefined && verb === "created")
    terminal.err.write(`  ${paint(terminal.err, "dim", `placed on ${reason}`)}\n`);
  if (operation === undefined) return;
  if (session.wait) await followOperation(terminal, session, operation, signal);
  else
    terminal.err.write(
      `${paint(terminal.err, "dim", `  follow it: skerry operation wait ${operation.metadata.name}`)}\n`,
    );
}

/** Shows an operation's steps until it ends. @throws SkerryError with its problem where it did not succeed */
export async function followOperation(
  terminal: Terminal,
  session: Session,
  started: OperationResource,
  signal: AbortSignal,
): Promise<OperationResource> {
  const progress = await openProgress(terminal);
  let ended: OperationResource;
  try {
    ended = await session.client.waitForOperation(
      started.metadata.name,
      (operation) => progress.update(stepLines(operation, Date.now())),
      signal,
    );
    progress.update(stepLines(ended, Date.now()));
  } finally {
    progress.finish();
  }
  if (ended.status.state === "succeeded") return ended;
  const problem = ended.status.problem;
  throw problem === undefined
    ? new SkerryError("operation-cancelled", `The operation ${ended.metadata.name} ended as ${ended.status.state}.`)
    : fromProblem(problem);
}

/** An operation's steps as progress lines. */
export function stepLines(operation: OperationResource, nowMs: number): ProgressLine[] {
  return operation.status.steps.map((step) => ({
    label: step.name,
    state: lineState(step.state),
    message: step.state === "compensated" ? "taken back" : step.message,
    done: step.done,
    total: step.total,
    unit: step.unit,
    ...(step.startedAt === undefined
      ? {}
      : { elapsedMs: (step.endedAt === undefined ? nowMs : Date.parse(step.endedAt)) - Date.parse(step.startedAt) }),
  }));
}

function lineState(state: OperationResource["status"]["steps"][number]["state"]): ProgressLine["state"] {
  switch (state) {
    case "pending":
      return "waiting";
    case "running":
      return "running";
    case "succeeded":
      return "done";
    case "failed":
      return "failed";
    case "skipped":
    case "compensated":
      return "skipped";
  }
}

/** Prints what a mutation would change, field by field; changes nothing. */
export async function showPlan<K extends KindName>(
  terminal: Terminal,
  session: Session,
  kind: K,
  key: ResourceKey,
  mutation: PlannedMutation<K>,
  signal: AbortSignal,
): Promise<void> {
  const { changes, quota, cost, moves } = await session.client.plan(kind, key, mutation, signal);
  if (session.output !== "table")
    return renderValue(
      terminal,
      { plan: changes, quota, cost, ...(moves === undefined ? {} : { moves }) },
      session.output,
    );
  if (changes.length === 0) terminal.err.write("Nothing would change.\n");
  for (const change of changes) printLines(terminal, changeLines(terminal, change));
  const effects = [...quotaLines(quota), ...costLines(cost), ...moveLines(moves)];
  if (effects.length > 0) printLines(terminal, effects);
}

/** One line that sums an ended operation up. */
export function operationSummary(operation: OperationResource): string {
  const { startedAt, endedAt } = operation.status;
  const time =
    startedAt === undefined || endedAt === undefined
      ? ""
      : ` in ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}`;
  return `${operation.spec.type} ${operation.status.state}${time}`;
}
