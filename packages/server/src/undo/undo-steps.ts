import { isDeepStrictEqual } from "node:util";
import {
  SkerryError,
  kindWord,
  sealedMark,
  type Formerly,
  type KindName,
  type OperationResource,
  type ResourceOf,
} from "@skerry/model";
import type { View } from "@skerry/store";
import { fieldsOf, withFields, withoutFields, type Content, type Fields } from "../api/object-fields.ts";
import { represent } from "../api/representation.ts";
import { placeOf, type Atlas } from "../authorisation/place.ts";
import { migrationOf } from "../operations/kinds/migration-orders.ts";
import { secretAgeOf, secretPointerOf } from "../secrets/secret-age.ts";
import { isOver } from "../operations/transitions.ts";
import { askedChanges, type AskedChange } from "./asked-changes.ts";
import { currentOf, formerlyOf, isOrWas } from "./identity.ts";
import { namesakes } from "./namesakes.ts";
import type { RecordedChange, RecordedMutation } from "./recorded-mutation.ts";
import type { Possible, Refusal } from "./rules.ts";
import { isOfThen } from "./visible.ts";

/** One mutation that takes a part back; done by the API as if somebody had asked for just that. */
export type UndoStep = {
  readonly change: RecordedChange;
  /** What of it is not as it was; sentences. */
  readonly notes: readonly string[];
  /** What it destroys, where it does. */
  readonly destroys?: string;
} & (
  | { readonly do: "delete" }
  | { readonly do: "make again"; readonly content: Content; readonly formerly: Formerly }
  | {
      readonly do: "restore";
      readonly content: Content;
      /** JSON pointers of what is set back. */
      readonly fields: readonly string[];
      /** Of what was changed since, or can't be set back, and stays. */
      readonly left: readonly string[];
    }
  | { readonly do: "move back"; readonly toNode: string }
  | { readonly do: "cancel"; readonly operation: string }
);

/** What was changed since, or can't be taken back: why a whole undo is refused, and what a partial one leaves. */
interface Obstacle {
  readonly code: "conflict" | "irreversible";
  readonly message: string;
  readonly remedy: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * What takes a mutation back, last thing first, as things are now. Only what the mutation itself changed is touched, and only where
 * it is still as the mutation left it; `partial` leaves out what is not.
 * @throws SkerryError irreversible with the reason and what to do instead, conflict with what was changed since
 */
export function undoSteps(view: View, mutation: RecordedMutation, partial: boolean): readonly UndoStep[] {
  refuseOthers(mutation);
  const asked = askedChanges(mutation);
  if (asked.length === 0) {
    throw refused({
      code: "irreversible",
      message: "It changed nothing that stays: no spec, no labels, and nothing came or went.",
      remedy: "See what it did: skerry operation list",
    });
  }
  const steps: UndoStep[] = [];
  let first: Obstacle | undefined;
  for (const one of asked.toReversed()) {
    const { step, obstacle } = stepFor(view, one, mutation);
    if (step !== undefined) steps.push(step);
    first ??= obstacle;
  }
  if (first !== undefined && (!partial || steps.length === 0)) throw refused(first);
  return steps;
}

/** What no request of a person or program made. */
function refuseOthers({ actorKind, changes }: RecordedMutation): void {
  if (actorKind === undefined) {
    throw refused({
      code: "irreversible",
      message: "The control plane did this by itself.",
      remedy: "See what it was: skerry audit list",
    });
  }
  if (actorKind !== "JoinToken") return;
  const node = changes.find(({ kind }) => kind === "Node")?.key.name ?? "NODE";
  throw refused({
    code: "irreversible",
    message: "With this an agent joined: its host has the key by which it is known.",
    remedy: `Take the node out of the zone: skerry node delete ${node}`,
  });
}

interface Taken {
  readonly step?: UndoStep;
  readonly obstacle?: Obstacle;
}

function stepFor(view: View, asked: AskedChange, mutation: RecordedMutation): Taken {
  const { answer, change, operation } = asked;
  if (answer.way === "never") return { obstacle: irreversible(asked, answer.refusal) };
  const refusal = answer.unless?.(change, mutation);
  if (refusal !== undefined) return { obstacle: irreversible(asked, refusal) };
  const notes = answer.note === undefined ? [] : [answer.note];
  switch (answer.way) {
    case "delete":
      return deletion(view, asked, answer);
    case "make again":
      return remaking(view, asked, mutation, notes);
    case "restore":
      return restoration(view, asked, answer, mutation);
    case "move back":
      if (operation === undefined) throw new Error(`a ${asked.verb} without an operation`);
      return moveBack(view, asked, operation);
  }
}

function deletion(view: View, asked: AskedChange, { destroys, holds }: Possible<KindName>): Taken {
  const { change } = asked;
  const now = currentOf(view, change);
  const named = nameOf(change);
  if (now === undefined || now.metadata.deletedAt !== undefined) return { obstacle: isGone(change) };
  const since = changedSince(fieldsIn(change.after), fieldsIn(now));
  if (since.length > 0) {
    return {
      obstacle: {
        ...changedWords(`The ${named} was changed since it was made`, since),
        remedy: `Take back the later changes first, or delete it yourself: skerry ${kindWord(change.kind)} delete ${placeWords(change)}`,
      },
    };
  }
  return {
    step: {
      do: "delete",
      change,
      notes: [],
      ...(destroys === undefined || holds?.(now) === false ? {} : { destroys }),
    },
  };
}

function remaking(view: View, asked: AskedChange, mutation: RecordedMutation, notes: readonly string[]): Taken {
  const { change } = asked;
  const { kind, key, before } = change;
  const there = view.get(kind, key);
  if (there !== undefined) {
    const isGoing = isOrWas(there.metadata, change.id) && there.metadata.deletedAt !== undefined;
    return {
      obstacle: {
        code: "conflict",
        message: isGoing
          ? `The ${nameOf(change)} is still being deleted.`
          : `There is another ${nameOf(change)} by now.`,
        remedy: isGoing
          ? "Wait until it is gone."
          : `Leave it, or delete it first: skerry ${kindWord(kind)} delete ${placeWords(change)}`,
      },
    };
  }
  if (before !== undefined && !isOfThen(view, before, placeOf(before, atlasOf(view)), mutation.timeMs)) {
    return {
      obstacle: {
        code: "conflict",
        message: `What the ${nameOf(change)} was in is gone, or another one of the same name.`,
        remedy: "Make it anew yourself, where it is to be.",
      },
    };
  }
  const [another] = before === undefined ? [] : namesakes(view, before, undefined, mutation).values();
  if (another !== undefined) return { obstacle: irreversible(asked, another) };
  const tokens = mutation.changes.filter(
    (one) => one.kind === "JoinToken" && one.after === undefined && one.kind !== kind,
  );
  const lost = tokens.map((one) => `The join token ${one.key.name} is not made again: its secret was shown once.`);
  if (before === undefined) throw new Error("what was deleted was there before");
  const formerly = formerlyOf(before.metadata);
  return { step: { do: "make again", change, notes: [...notes, ...lost], content: contentOf(before), formerly } };
}

function atlasOf(view: View): Atlas {
  return {
    organisationOf: (name) => view.get("Project", { name })?.spec.organisation,
    providerOf: (name) => view.get("Site", { name })?.spec.provider,
  };
}

function restoration(view: View, asked: AskedChange, answer: Possible<KindName>, mutation: RecordedMutation): Taken {
  const { change } = asked;
  const { before, after } = change;
  const now = currentOf(view, change);
  if (now === undefined || now.metadata.deletedAt !== undefined) return { obstacle: isGone(change) };
  const [was, is, has] = [before, after, now].map(fieldsIn);
  if (was === undefined || is === undefined || has === undefined) throw new Error("three objects have three contents");
  const changed = [...new Set([...was.keys(), ...is.keys()])].filter(
    (pointer) => !isDeepStrictEqual(was.get(pointer), is.get(pointer)),
  );
  if (changed.length === 0) return { obstacle: irreversible(asked, hidden) };
  const fixed = new Map([
    ...(answer.fixed?.(change, mutation) ?? []),
    ...(before === undefined ? [] : namesakes(view, before, now, mutation)),
  ]);
  const open = changed.filter((pointer) => !isDeepStrictEqual(has.get(pointer), was.get(pointer)));
  const since = open.filter((pointer) => !fixed.has(pointer) && !isDeepStrictEqual(has.get(pointer), is.get(pointer)));
  const kept = open.filter((pointer) => fixed.has(pointer));
  const fields = open.filter((pointer) => !since.includes(pointer) && !fixed.has(pointer));
  const obstacle = obstacleOf(asked, since, kept, fixed, { was, is, has });
  if (fields.length === 0) return { obstacle: obstacle ?? isBack(change) };
  const gone = fields.filter((pointer) => !was.has(pointer));
  const set = new Map(fields.filter((pointer) => was.has(pointer)).map((pointer) => [pointer, was.get(pointer)]));
  const content = withFields(withoutFields(contentOf(now), gone), set);
  const step: UndoStep = { do: "restore", change, notes: keyNotes(change), content, fields, left: [...since, ...kept] };
  return { step, ...(obstacle === undefined ? {} : { obstacle }) };
}

interface Versions {
  readonly was: Fields;
  readonly is: Fields;
  readonly has: Fields;
}

function obstacleOf(
  asked: AskedChange,
  since: readonly string[],
  kept: readonly string[],
  fixed: ReadonlyMap<string, Refusal>,
  { was, is, has }: Versions,
): Obstacle | undefined {
  const [first] = kept;
  const refusal = first === undefined ? undefined : fixed.get(first);
  if (refusal !== undefined) return irreversible(asked, refusal);
  if (since.length === 0) return undefined;
  const values = since.map((path) => ({ path, before: was.get(path), after: is.get(path), now: has.get(path) }));
  return {
    ...changedWords(`The ${nameOf(asked.change)} was changed once more since`, since),
    remedy:
      "Take back the later changes first; or leave these fields as they are now, and take back the rest: add --partial (partial=true).",
    facts: { changedSince: values },
  };
}

function moveBack(view: View, asked: AskedChange, recorded: OperationResource): Taken {
  const { change } = asked;
  const { name } = recorded.metadata;
  const { from, to } = migrationOf(recorded);
  const operation = view.getById("Operation", recorded.metadata.id);
  if (operation !== undefined && !isOver(operation.status.state)) {
    const note = "It is not over: it is asked to stop and to take back what it did.";
    return { step: { do: "cancel", change, notes: [note], operation: name } };
  }
  const now = view.getById("Instance", change.id);
  if (now === undefined || now.metadata.deletedAt !== undefined) return { obstacle: isGone(change) };
  if (operation !== undefined && operation.status.state !== "succeeded") {
    return {
      obstacle: {
        code: "conflict",
        message: `The move of ${change.key.name} ended as ${operation.status.state}, and took itself back.`,
        remedy: `See how it ended: skerry operation show ${name}`,
      },
    };
  }
  const { assignment } = now;
  const elsewhere = (message: string): Taken => ({
    obstacle: {
      code: "conflict",
      message,
      remedy: `Move it where it is to be: skerry instance migrate ${placeWords(change)} --to-node NODE`,
    },
  });
  if (assignment?.nodeId !== to.nodeId || assignment.movingTo !== undefined)
    return elsewhere(`The instance ${change.key.name} is not at rest on ${to.node} any more.`);
  if (view.getById("Node", from.nodeId) === undefined)
    return elsewhere(`The node ${from.node}, where ${change.key.name} was, is not there any more.`);
  return { step: { do: "move back", change, notes: [], toNode: from.node } };
}

const hidden: Refusal = {
  why: "only what the audit log never keeps was changed, such as a private key",
  remedy: () => "Set it again as you want it, in a file: skerry apply -f FILE",
};

/** What of it was a secret, and is not as it was. */
function keyNotes({ before, after }: RecordedChange): readonly string[] {
  const isOver = (object: ResourceOf<KindName> | undefined): boolean =>
    object?.kind === "User" && object.status.signIn?.invitedUntil === undefined;
  if (before?.kind === "User" && !isOver(before) && isOver(after))
    return ["The link that they were invited by is over, and no link is made again: invite them anew."];
  const hasKey = before?.kind === "Provider" && after?.kind === "Provider" && before.spec.ssh !== undefined;
  if (hasKey) return ["The private key stays as it is now: the audit log never has it."];
  const hasSecret =
    before?.kind === "IdentityProvider" && after?.kind === "IdentityProvider" && before.spec.clientSecret !== undefined;
  return hasSecret ? ["The client's secret stays as it is now: the audit log never has it."] : [];
}

/** What clients write of an object, without its secrets. */
function contentOf(object: ResourceOf<KindName> | undefined): Content {
  if (object === undefined) throw new Error("an object that is not there has no content");
  const { metadata, spec } = represent(object);
  return { labels: metadata.labels, spec };
}

/** The same, field by field. A secret is told by when it was set: all that can be known of whether it is the same. */
function fieldsIn(object: ResourceOf<KindName> | undefined): Fields {
  const content = contentOf(object);
  if (object === undefined) return new Map();
  const fields = new Map(fieldsOf(object.kind, content));
  const [pointer, setAt] = [secretPointerOf(object.kind), secretAgeOf(object)];
  if (pointer !== undefined && setAt !== undefined && fields.has(pointer))
    fields.set(pointer, `${sealedMark} ${setAt}`);
  return fields;
}

function changedSince(before: Fields, after: Fields): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (pointer) => !isDeepStrictEqual(before.get(pointer), after.get(pointer)),
  );
}

function changedWords(what: string, pointers: readonly string[]): Pick<Obstacle, "code" | "message" | "errors"> {
  const shown = pointers.slice(0, 5).join(", ") + (pointers.length > 5 ? ", …" : "");
  return {
    code: "conflict",
    message: `${what}: ${shown}.`,
    errors: pointers.map((path) => ({ path, message: "was changed since" })),
  };
}

function irreversible({ verb, change }: AskedChange, { why, remedy }: Refusal): Obstacle {
  return {
    code: "irreversible",
    message: `${verbWords[verb] ?? `The ${verb}`} of the ${nameOf(change)} can not be taken back: ${why}.`,
    remedy: remedy(change.key),
  };
}

const verbWords: Readonly<Record<string, string>> = {
  create: "The creation",
  update: "The change",
  delete: "The deletion",
};

function isGone(change: RecordedChange): Obstacle {
  return {
    code: "conflict",
    message: `The ${nameOf(change)} that it concerned is gone.`,
    remedy: "There is nothing left of it to take back.",
  };
}

function isBack(change: RecordedChange): Obstacle {
  return {
    code: "conflict",
    message: `The ${nameOf(change)} is as it was before already.`,
    remedy: "There is nothing left of it to take back.",
  };
}

function nameOf({ kind, key }: RecordedChange): string {
  return `${kindWord(kind).replaceAll("-", " ")} ${key.project === undefined ? key.name : `${key.project}/${key.name}`}`;
}

function placeWords({ key: { name, project } }: RecordedChange): string {
  return project === undefined ? name : `${name} --project ${project}`;
}

function refused({ code, message, remedy, errors, facts }: Obstacle): SkerryError {
  return new SkerryError(code, message, {
    remedy,
    ...(errors === undefined ? {} : { errors }),
    ...(facts === undefined ? {} : { facts }),
  });
}
