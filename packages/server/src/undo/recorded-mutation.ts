import { Type } from "typebox";
import { currentForm, isKindName, parserOf, type KindName, type ResourceOf } from "@skerry/model";
import type { Key } from "@skerry/store";

/** What became of one object in a recorded mutation: as it was found, and as it was left; in today's forms, without secrets. */
export interface RecordedChange<K extends KindName = KindName> {
  readonly kind: K;
  readonly id: string;
  readonly key: Key;
  /** None where the mutation made it. */
  readonly before: ResourceOf<K> | undefined;
  /** None where it was gone at the end. */
  readonly after: ResourceOf<K> | undefined;
}

/** A mutation as the audit log has it. */
export interface RecordedMutation {
  readonly seq: number;
  /** Of its first and last change. */
  readonly revisions: readonly [first: number, last: number];
  readonly timeMs: number;
  /** What kind of token asked; none of what the control plane did by itself. */
  readonly actorKind: string | undefined;
  /** One for each object, in the order in which they were first touched. */
  readonly changes: readonly RecordedChange[];
}

const Body = Type.Object({
  kind: Type.String(),
  metadata: Type.Object({ name: Type.String(), id: Type.String(), generation: Type.Integer() }),
  spec: Type.Object({}),
});
const parse = parserOf(
  Type.Object({
    seq: Type.Integer(),
    timeMs: Type.Integer(),
    actor: Type.Object({ kind: Type.Optional(Type.String()) }),
    changes: Type.Array(
      Type.Object({
        kind: Type.String(),
        id: Type.String(),
        project: Type.Optional(Type.String()),
        name: Type.String(),
        revision: Type.Integer(),
        before: Type.Optional(Body),
        after: Type.Optional(Body),
      }),
      { minItems: 1 },
    ),
  }),
  "audit record",
  "internal",
);

/** Reads a record of the audit log. @throws SkerryError internal for what the log never wrote */
export function readRecord(text: string): RecordedMutation {
  const { seq, timeMs, actor, changes } = parse(JSON.parse(text));
  const byId = new Map<string, RecordedChange>();
  for (const { kind, id, project, name, before, after } of changes) {
    // Of a kind that a later version has taken away nothing can be said.
    if (!isKindName(kind)) continue;
    const known = byId.get(id);
    const key = project === undefined ? { name } : { project, name };
    const first = known === undefined ? current(kind, before) : known.before;
    byId.set(id, { kind, id, key, before: first, after: current(kind, after) });
  }
  const revisions = changes.map(({ revision }) => revision);
  return {
    seq,
    revisions: [Math.min(...revisions), Math.max(...revisions)],
    timeMs,
    actorKind: actor.kind,
    changes: [...byId.values()],
  };
}

function current(kind: KindName, body: object | undefined): ResourceOf<KindName> | undefined {
  if (body === undefined) return undefined;
  return currentForm(kind, body as Readonly<Record<string, unknown>>) as unknown as ResourceOf<KindName>;
}
