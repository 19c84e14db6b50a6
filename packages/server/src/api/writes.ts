import { isDeepStrictEqual } from "node:util";
import {
  SkerryError,
  inputParser,
  kindWord,
  kinds,
  namePattern,
  nameWords,
  parserOf,
  type FieldOwnership,
  type KindName,
  type Metadata,
  type MetadataInput,
  type Parser,
  type ResourceOf,
} from "@skerry/model";
import { withWrites, type Key, type Transaction } from "@skerry/store";
import type { TObject } from "typebox";
import { notFound } from "../authorisation/authorise.ts";
import type { Verb } from "../authorisation/verbs.ts";
import type { IntentContext, IntentOutcome, IntentTable, KindIntents } from "../intents.ts";
import { sealClientSecret } from "../secrets/client-secret.ts";
import { sealProviderSpec } from "../secrets/provider-key.ts";
import { withSecretAge } from "../secrets/secret-age.ts";
import type { Sealer } from "../secrets/sealer.ts";
import { makeDraft } from "./draft.ts";
import { ownershipAfter } from "./field-owners.ts";
import { applyMergePatch } from "./merge-patch.ts";
import type { Content } from "./object-fields.ts";
import { represent } from "./representation.ts";

/** What a client may send of any kind. */
interface Input {
  readonly kind?: string;
  readonly metadata?: MetadataInput;
  readonly spec: object;
}

export const applyResults = ["created", "changed", "unchanged"] as const;

/** A write's outcome, and whether it made something new. */
export interface WriteOutcome extends IntentOutcome {
  readonly created: boolean;
  /** Of an apply: what it came to for labels and spec. */
  readonly result?: (typeof applyResults)[number];
}

/** What every write needs to know. */
export interface WriteContext {
  readonly intents: IntentTable;
  readonly sealer: Sealer;
  readonly context: IntentContext;
  /** @throws SkerryError where the request's preconditions don't hold for what is there */
  readonly checkPreconditions: (current: ResourceOf<KindName> | undefined) => void;
  /** Whether what is there must be taken for nothing, since who asks may not know of it. */
  readonly isHidden: (current: ResourceOf<KindName>) => boolean;
  /** @throws SkerryError where who asks may not change what is there */
  readonly authoriseChange: (current: ResourceOf<KindName>) => void;
  /** @throws SkerryError forbidden where who asks may not have it so */
  readonly authoriseWish: (wanted: ResourceOf<KindName>, verb?: Verb) => void;
}

const parsers = new Map<TObject | string, Parser<unknown>>();

/** A parser of an input schema, compiled at its first use: most starts need few of them. */
export function parserFor(schema: TObject | string, make: () => Parser<unknown>): Parser<unknown> {
  const parser = parsers.get(schema) ?? make();
  parsers.set(schema, parser);
  return parser;
}

/** PUT: creates, or replaces spec and labels. What is the same already is left alone. */
export function put(tx: Transaction, kind: KindName, key: Key, body: unknown, write: WriteContext): WriteOutcome {
  const input = parseInput(kind, key, body);
  const before = known(tx, kind, key, write);
  if (before !== undefined) write.authoriseChange(before);
  write.checkPreconditions(before);
  if (before !== undefined) return { ...change(tx, before, input, write).outcome, created: false };
  return { ...create(tx, kind, key, input, write), created: true };
}

/** What is there, as far as who asks may know of it. */
export function known(
  tx: Transaction,
  kind: KindName,
  key: Key,
  write: WriteContext,
): ResourceOf<KindName> | undefined {
  const found = tx.get(kind, key);
  return found === undefined || write.isHidden(found) ? undefined : found;
}

/** Names of a kind are one for the whole zone: whoever may make one has to be told that there is another's. */
function taken(kind: KindName, key: Key): SkerryError {
  return new SkerryError("already-exists", `The name ${key.name} is taken by another ${kindWord(kind)}.`, {
    remedy: "Choose another name.",
  });
}

/** Makes what is not there yet. */
export function create(
  tx: Transaction,
  kind: KindName,
  key: Key,
  input: Input,
  write: WriteContext,
  made?: Pick<Metadata, "managers" | "madeBy" | "formerly">,
): IntentOutcome {
  checkName(key.name);
  checkProject(tx, key.project);
  const intents = intentsOf(write.intents, kind);
  const id = write.context.makeId(kinds[kind].prefix);
  const spec = seal(kind, id, input.spec, undefined, write.sealer);
  const draft = makeDraft(
    kind,
    id,
    key,
    { spec, labels: input.metadata?.labels ?? {}, status: intents.initialStatus },
    write.context.nowMs,
  );
  const aged = withSecretAge(draft, undefined, write.context.nowMs);
  const whole = made === undefined ? aged : { ...aged, metadata: { ...aged.metadata, ...made } };
  write.authoriseWish(whole, "put");
  if (tx.get(kind, key) !== undefined) throw taken(kind, key);
  return intents.create(tx, whole, write.context);
}

/** PATCH: a merge patch of `{metadata: {labels}, spec}`. */
export function patch(tx: Transaction, kind: KindName, key: Key, body: unknown, write: WriteContext): WriteOutcome {
  const before = existing(tx, kind, key, write);
  const { spec, metadata } = represent(before);
  const input = parseInput(kind, key, applyMergePatch({ metadata: { labels: metadata.labels }, spec }, body));
  // A patch that removes the labels leaves none, where a PUT without labels leaves them alone.
  const labels = input.metadata?.labels ?? {};
  return { ...change(tx, before, { ...input, metadata: { labels } }, write).outcome, created: false };
}

/** DELETE. */
export function remove(tx: Transaction, kind: KindName, key: Key, write: WriteContext): WriteOutcome {
  const before = existing(tx, kind, key, write);
  return { ...intentsOf(write.intents, kind).remove(tx, before, write.context), created: false };
}

/** POST of an action. */
export function act(
  tx: Transaction,
  kind: KindName,
  key: Key,
  action: string,
  body: unknown,
  write: WriteContext,
): WriteOutcome {
  const intent = intentsOf(write.intents, kind).actions[action];
  if (intent === undefined) throw new SkerryError("not-found", `A ${kind} has no action ${action}.`);
  const input = parserFor(intent.input, () => parserOf(intent.input, `input of ${action}`))(body ?? {}) as Readonly<
    Record<string, unknown>
  >;
  const before = existing(tx, kind, key, write);
  return { ...intent.run(owning(tx, before), before, input, write.context), created: false };
}

/** The transaction, in which what an action changes of an object that somebody applied becomes `api`'s. */
function owning(tx: Transaction, before: ResourceOf<KindName>): Transaction {
  if (before.metadata.managers === undefined) return tx;
  const owned = <R extends ResourceOf<KindName>>(object: R): R => {
    if (object.kind !== before.kind || object.metadata.id !== before.metadata.id) return object;
    const { labels } = object.metadata;
    return {
      ...object,
      metadata: { ...object.metadata, managers: ownershipAfter(before, { labels, spec: object.spec }) },
    };
  };
  return withWrites(tx, { put: (object) => tx.put(owned(object)), amend: (object) => tx.amend(owned(object)) });
}

const validName = new RegExp(namePattern);

/** Names come from the path, so that no schema of the body has seen them. */
function checkName(name: string): void {
  if (validName.test(name)) return;
  throw new SkerryError("invalid-request", `"${name.slice(0, 100)}" can not be a name.`, {
    errors: [{ path: "/metadata/name", message: `must be ${nameWords}` }],
  });
}

/** @throws SkerryError not-found where there is no such project, conflict where it is going */
function checkProject(tx: Transaction, project: string | undefined): void {
  if (project === undefined) return;
  const found = tx.get("Project", { name: project });
  if (found === undefined) {
    throw new SkerryError("not-found", `There is no project ${project}.`, {
      remedy: `Create it first: skerry project create ${project} --organisation ORGANISATION`,
    });
  }
  if (found.metadata.deletedAt !== undefined)
    throw new SkerryError("conflict", `The project ${project} is being deleted.`);
}

function existing(tx: Transaction, kind: KindName, key: Key, write: WriteContext): ResourceOf<KindName> {
  const found = known(tx, kind, key, write);
  if (found !== undefined) write.authoriseChange(found);
  write.checkPreconditions(found);
  if (found === undefined) throw notFound(kind, key);
  return found;
}

export function parseInput(kind: KindName, key: Key, body: unknown): Input {
  const input = parserFor(kinds[kind].input, () => inputParser(kind))(body) as Input;
  checkPath(key, input.metadata);
  return input;
}

/** @throws SkerryError invalid-request where a body names another object than its path */
export function checkPath(key: Key, metadata: MetadataInput = {}): void {
  const { name = key.name, project = key.project } = metadata;
  if (name === key.name && project === key.project) return;
  throw new SkerryError("invalid-request", "The metadata names another object than the path does.", {
    errors: [
      {
        path: name === key.name ? "/metadata/project" : "/metadata/name",
        message: "must be as in the path, or absent",
      },
    ],
  });
}

/** Says whose the fields are after a change; undefined where all are `api`'s. */
export type Claim = (before: ResourceOf<KindName>, after: Content) => FieldOwnership[] | undefined;

/** Changes labels and spec, and whose they are; `same` where labels and spec stay as they were. */
export function change(
  tx: Transaction,
  before: ResourceOf<KindName>,
  input: Input,
  write: WriteContext,
  claim: Claim = ownershipAfter,
): { readonly outcome: IntentOutcome; readonly same: boolean } {
  const { kind, metadata } = before;
  const spec = seal(kind, metadata.id, input.spec, before.spec, write.sealer);
  const labels = input.metadata?.labels ?? metadata.labels;
  const sameSpec = isDeepStrictEqual(spec, before.spec);
  const same = sameSpec && isDeepStrictEqual(labels, metadata.labels);
  const managers = claim(before, { labels, spec });
  if (same && isDeepStrictEqual(managers, metadata.managers)) return { outcome: { resource: before }, same };
  if (metadata.deletedAt !== undefined) {
    throw new SkerryError("conflict", `The ${kind} ${metadata.name} is being deleted.`, {
      remedy: "Wait until it is gone, then create it anew.",
    });
  }
  const owned = managers === metadata.managers ? metadata : { ...metadata, managers };
  // Whose a field is means nothing to whoever carries the spec out.
  if (same) return { outcome: { resource: tx.put({ ...before, metadata: owned } as ResourceOf<KindName>) }, same };
  const next = {
    ...before,
    metadata: { ...owned, labels, generation: metadata.generation + (sameSpec ? 0 : 1) },
    spec,
  } as ResourceOf<KindName>;
  const after = withSecretAge(next, before, write.context.nowMs);
  write.authoriseWish(after);
  return { outcome: intentsOf(write.intents, kind).update(tx, before, after, write.context), same };
}

/** Secrets in what a client wrote are sealed here, on the only way from a request to the store. */
function seal(kind: KindName, id: string, spec: object, before: object | undefined, sealer: Sealer): object {
  if (kind === "IdentityProvider") {
    type Spec = ResourceOf<"IdentityProvider">["spec"];
    return sealClientSecret(sealer, id, spec as Spec, before as Spec | undefined);
  }
  if (kind !== "Provider") return spec;
  type Spec = ResourceOf<"Provider">["spec"];
  return sealProviderSpec(sealer, id, spec as Spec, before as Spec | undefined);
}

/** The table's row for a kind known only at run time; the kinds of resource and row agree by construction. */
export function intentsOf(table: IntentTable, kind: KindName): KindIntents<KindName> {
  return table[kind];
}
