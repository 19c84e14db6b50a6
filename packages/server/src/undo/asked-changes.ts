import { isDeepStrictEqual } from "node:util";
import { kindNames, type KindName, type OperationResource, type ResourceOf } from "@skerry/model";
import type { RecordedChange, RecordedMutation } from "./recorded-mutation.ts";
import { rulesOf, type Answer } from "./rules.ts";

/** One thing that a mutation was asked for; the rest of what it changed follows from these. */
export interface AskedChange {
  /** `create`, `update`, `delete`, or an action. */
  readonly verb: string;
  readonly change: RecordedChange;
  readonly answer: Answer<KindName>;
  /** What an action's work was given to. */
  readonly operation?: OperationResource;
}

/** What was asked for, in order; nothing where nothing that lasts was changed. */
export function askedChanges({ changes }: RecordedMutation): readonly AskedChange[] {
  const asked = changes.flatMap((change): readonly AskedChange[] => {
    const verb = verbOf(change);
    if (verb === undefined || follows(change, changes)) return [];
    return [{ verb, change, answer: answerTo(change.kind, verb) }];
  });
  return asked.length > 0 ? asked : changes.flatMap((change) => actionOf(change, changes));
}

function answerTo(kind: KindName, verb: string): Answer<KindName> {
  const rules = rulesOf(kind);
  if (verb === "create" || verb === "update" || verb === "delete") return rules[verb];
  const answer = rules.actions[verb];
  if (answer === undefined) throw new Error(`nothing says how ${verb} of a ${kind} is taken back`);
  return answer;
}

function verbOf({ kind, before, after }: RecordedChange): string | undefined {
  if (kind === "Operation" || kind === "Meter") return undefined;
  if (before === undefined) return after === undefined ? undefined : "create";
  // Its end was asked for by an earlier mutation.
  if (before.metadata.deletedAt !== undefined) return undefined;
  if (after === undefined || after.metadata.deletedAt !== undefined) return "delete";
  if (before.kind === "Image" && after.kind === "Image" && before.status.state !== after.status.state) return "upload";
  if (before.kind === "User" && after.kind === "User") {
    if (!isDeepStrictEqual(before.status.identity, after.status.identity)) return "link";
    const [was, is] = [before.status.signIn ?? {}, after.status.signIn ?? {}];
    if (isUnchanged(before, after) && !isDeepStrictEqual(was, is))
      return was.invitedUntil !== is.invitedUntil && is.invitedUntil !== undefined ? "invite" : "credentials";
  }
  return isUnchanged(before, after) ? undefined : "update";
}

function isUnchanged(before: ResourceOf<KindName>, after: ResourceOf<KindName>): boolean {
  const isOther =
    before.metadata.generation !== after.metadata.generation ||
    !isDeepStrictEqual(before.metadata.labels, after.metadata.labels) ||
    !isDeepStrictEqual(before.spec, after.spec);
  return !isOther;
}

/** What goes, comes and grows with another thing of the same mutation. */
function follows(change: RecordedChange, all: readonly RecordedChange[]): boolean {
  const { kind, key } = change;
  const has = (other: KindName, name: string): boolean =>
    all.some((one) => one.kind === other && one.key.name === name && one.key.project === key.project);
  if (kind === "Volume") return has("Instance", key.name);
  const object: ResourceOf<KindName> | undefined = change.before;
  if (change.after !== undefined) return false;
  // A session ends with its user, and where they are shut out, or who vouched for them is.
  if (object?.kind === "ApiToken") {
    const { identityProvider = "" } = object.status.session ?? {};
    return has("User", object.spec.owner?.name ?? "") || has("IdentityProvider", identityProvider);
  }
  return object?.kind === "JoinToken" && has("Site", object.spec.site);
}

/** An action that changed nothing but what an operation then did, or an operation itself. */
function actionOf(change: RecordedChange, all: readonly RecordedChange[]): readonly AskedChange[] {
  const { before, after } = change;
  if (after?.kind !== "Operation") return [];
  if (before?.kind === "Operation") {
    const isCancelled = before.status.cancelRequestedAt === undefined && after.status.cancelRequestedAt !== undefined;
    return isCancelled && !all.some(isSubmitted)
      ? [{ verb: "cancel", change, answer: answerTo("Operation", "cancel") }]
      : [];
  }
  const [subject] = after.spec.targets;
  for (const kind of kindNames) {
    for (const [verb, answer] of Object.entries(rulesOf(kind).actions)) {
      if (answer.operation !== after.spec.type || subject?.kind !== kind) continue;
      const { name, project } = subject;
      const key = project === undefined ? { name } : { project, name };
      const touched = all.find((one) => one.kind === kind && one.key.name === name && one.key.project === project);
      const none = { kind, id: idIn(after), key, before: undefined, after: undefined };
      return [{ verb, change: touched ?? none, answer, operation: after }];
    }
  }
  return [];
}

function isSubmitted({ kind, before }: RecordedChange): boolean {
  return kind === "Operation" && before === undefined;
}

/** Of what a node's operation is about, which its own record does not change. */
function idIn({ spec }: OperationResource): string {
  const { nodeId, instanceId } = spec.input;
  return typeof nodeId === "string" ? nodeId : typeof instanceId === "string" ? instanceId : "";
}
