import { isDeepStrictEqual } from "node:util";
import {
  SkerryError,
  unnamedManager,
  wishParser,
  type FieldOwnership,
  type KindName,
  type ResourceOf,
  type WishOf,
} from "@skerry/model";
import type { Key, Transaction } from "@skerry/store";
import { ownersIn, ownersOf, ownershipOf, type Owners } from "./field-owners.ts";
import { fieldsOf, withFields, withoutFields, type Content, type Fields } from "./object-fields.ts";
import { represent } from "./representation.ts";
import { applyPatchType, type Call } from "./route.ts";
import {
  change,
  checkPath,
  create,
  known,
  parseInput,
  parserFor,
  type Claim,
  type WriteContext,
  type WriteOutcome,
} from "./writes.ts";

/** Who applies, and whether it takes over what others own. */
export interface Applying {
  readonly manager: string;
  readonly force: boolean;
}

/**
 * Who applies, by a request's query; undefined where its body is no wish.
 * @throws SkerryError invalid-request
 */
export function readApplying(query: Call["query"], mediaType: string | undefined): Applying | undefined {
  const { fieldManager, force } = query;
  if (mediaType !== applyPatchType) {
    if (fieldManager === undefined && force === undefined) return undefined;
    throw new SkerryError("invalid-request", "A merge patch names no field manager, and forces nothing.", {
      remedy: `Leave fieldManager and force out, or send the wish as ${applyPatchType}.`,
    });
  }
  if (fieldManager === undefined) {
    throw new SkerryError("invalid-request", "It does not say who applies.", {
      remedy: "Add fieldManager=NAME: the same each time that the same program or person applies.",
    });
  }
  checkManager(fieldManager);
  return { manager: fieldManager, force: force === "true" };
}

/** @throws SkerryError invalid-request for the name that stands for those who give none */
export function checkManager(manager: string): void {
  if (manager !== unnamedManager) return;
  throw new SkerryError("invalid-request", `${unnamedManager} stands for changes that name no manager.`, {
    remedy: "Apply by another name.",
  });
}

/**
 * Server-side apply: the body is all that a manager wishes of one object. What it names becomes its own; what it had and does
 * not name any more goes, unless others have it too. Makes the object where there is none.
 * @throws SkerryError conflict with every field that another manager has with another value, unless forced
 */
export function apply(
  tx: Transaction,
  kind: KindName,
  key: Key,
  body: unknown,
  applying: Applying,
  write: WriteContext,
): WriteOutcome {
  const parse = parserFor(`${kind} as applied`, () => wishParser(kind));
  const { metadata, spec } = parse(body ?? {}) as WishOf<KindName>;
  checkPath(key, metadata);
  const wish = fieldsOf(kind, { labels: metadata?.labels ?? {}, spec: spec ?? {} });
  const before = known(tx, kind, key, write);
  if (before !== undefined) write.authoriseChange(before);
  write.checkPreconditions(before);
  const { manager } = applying;
  if (before === undefined) {
    const content = withFields({ labels: {}, spec: {} }, wish);
    const input = parseInput(kind, key, inputOf(content));
    const owners = new Map([...wish.keys()].map((pointer) => [pointer, new Set([manager])]));
    const managers = ownershipOf(owners, fieldsOf(kind, content));
    const made = { madeBy: manager, ...(managers === undefined ? {} : { managers }) };
    return { ...create(tx, kind, key, input, write, made), created: true, result: "created" };
  }
  const owners = ownersIn(before.metadata.managers);
  const released = [...owners.keys()].filter(
    (pointer) => owners.get(pointer)?.has(manager) === true && !wish.has(pointer),
  );
  const dropped = released.filter((pointer) => owners.get(pointer)?.size === 1);
  const shown = represent(before);
  const content = withFields(withoutFields({ labels: shown.metadata.labels, spec: shown.spec }, dropped), wish);
  const input = parseMerged(kind, key, content, dropped, manager);
  const claim: Claim = (_, after) => granted({ before, after, owners, released, wish, applying });
  const { outcome, same } = change(tx, before, input, write, claim);
  return { ...outcome, created: false, result: same ? "unchanged" : "changed" };
}

function inputOf({ labels, spec }: Content): object {
  return { metadata: { labels }, spec };
}

/** @throws SkerryError invalid-request that says so where the object needs what the manager gave up */
function parseMerged(
  kind: KindName,
  key: Key,
  content: Content,
  dropped: readonly string[],
  manager: string,
): ReturnType<typeof parseInput> {
  try {
    return parseInput(kind, key, inputOf(content));
  } catch (error) {
    if (!(error instanceof SkerryError) || dropped.length === 0) throw error;
    throw new SkerryError(error.code, error.message, {
      remedy: `${manager} alone had ${dropped.join(", ")} and names it no more: name what the ${kind} can't be without.`,
      ...(error.errors === undefined ? {} : { errors: error.errors }),
      cause: error,
    });
  }
}

interface Granting {
  readonly before: ResourceOf<KindName>;
  /** As it will be stored: secrets are sealed, and the same as before where they say the same. */
  readonly after: Content;
  readonly owners: Owners;
  readonly released: readonly string[];
  readonly wish: Fields;
  readonly applying: Applying;
}

/** Whose the fields are once the wish is granted. @throws SkerryError conflict */
function granted({ before, after, owners, released, wish, applying }: Granting): FieldOwnership[] | undefined {
  const { kind, metadata, spec } = before;
  const { manager, force } = applying;
  const was = fieldsOf(kind, { labels: metadata.labels, spec });
  const is = fieldsOf(kind, after);
  const next = new Map(owners);
  for (const pointer of released) next.set(pointer, without(ownersOf(owners, pointer), manager));
  const conflicts: string[] = [];
  for (const pointer of wish.keys()) {
    if (!is.has(pointer)) continue;
    const others = was.has(pointer) ? without(ownersOf(owners, pointer), manager) : new Set<string>();
    const agrees = isDeepStrictEqual(was.get(pointer), is.get(pointer));
    if (!agrees && others.size > 0) conflicts.push(pointer);
    next.set(pointer, new Set(agrees ? [...others, manager] : [manager]));
  }
  if (conflicts.length > 0 && !force) throw ownedByOthers(before, after, owners, conflicts, manager);
  return ownershipOf(next, is);
}

function without(managers: ReadonlySet<string>, manager: string): ReadonlySet<string> {
  return new Set([...managers].filter((one) => one !== manager));
}

/** Long values are cut; who wants them whole has them in the facts. */
const shownLength = 60;

function ownedByOthers(
  before: ResourceOf<KindName>,
  after: Content,
  owners: Owners,
  pointers: readonly string[],
  manager: string,
): SkerryError {
  const { kind, metadata } = before;
  const shownBefore = represent(before);
  const shownAfter = represent({ ...before, spec: after.spec } as ResourceOf<KindName>);
  const was = fieldsOf(kind, { labels: metadata.labels, spec: shownBefore.spec });
  const is = fieldsOf(kind, { labels: after.labels, spec: shownAfter.spec });
  const conflicts = pointers.map((path) => ({
    path,
    owners: [...without(ownersOf(owners, path), manager)],
    value: was.get(path),
    wanted: is.get(path),
  }));
  const count = conflicts.length === 1 ? "a field is" : `${conflicts.length} fields are`;
  return new SkerryError("conflict", `Of the ${kind} ${metadata.name}, ${count} another manager's.`, {
    errors: conflicts.map(({ path, owners: whose, value, wanted }) => ({
      path,
      message: isDeepStrictEqual(value, wanted)
        ? `is by ${whose.map(ownerWords).join(" and ")} another secret than by ${manager}`
        : `is ${brief(value)} by ${whose.map(ownerWords).join(" and ")}, and ${brief(wanted)} by ${manager}`,
    })),
    remedy:
      "Leave these fields out, and their owners keep them; or take them over with force=true (skerry apply -f FILE --force-conflicts).",
    facts: { conflicts },
  });
}

function ownerWords(manager: string): string {
  return manager === unnamedManager ? `${unnamedManager} (changes that name no manager)` : manager;
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= shownLength ? text : `${text.slice(0, shownLength - 1)}…`;
}
