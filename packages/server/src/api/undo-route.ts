import { Type } from "typebox";
import {
  Name,
  SkerryError,
  kindNames,
  oneOf,
  optional,
  parserOf,
  strict,
  timestamp,
  type KindName,
  type OperationResource,
  type ResourceOf,
} from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { notFound, sees } from "../authorisation/authorise.ts";
import { askedChanges, type AskedChange } from "../undo/asked-changes.ts";
import { currentOf } from "../undo/identity.ts";
import { readRecord, type RecordedMutation } from "../undo/recorded-mutation.ts";
import { undoSteps, type UndoStep } from "../undo/undo-steps.ts";
import { seesRecorded } from "../undo/visible.ts";
import { noteOf } from "./audit-note.ts";
import type { ApiDeps } from "./deps.ts";
import { commitAs, contextOf, rehearsed } from "./mutations.ts";
import { represent } from "./representation.ts";
import { schemaRef, type Call, type GuardedRoute, type Reply } from "./route.ts";
import { act, change, create, parseInput, remove, type WriteContext } from "./writes.ts";

const Query = strict({
  dryRun: optional(oneOf(["true", "false"] as const, "true: change nothing, answer with the plan")),
});
const Request = strict({
  operation: optional(Type.String({ ...Name, description: "the mutation that submitted this operation" })),
  revision: optional(Type.Integer({ minimum: 1, description: "or the one that made the change of this revision" })),
  partial: optional(
    Type.Boolean({ description: "leave what was changed since, or can not be taken back, and take back the rest" }),
  ),
});
const parseRequest = parserOf(Request, "request");

const ways = ["deleted", "restored", "made-again", "moved-back", "cancelled"] as const;
const Undone = strict({
  kind: oneOf(kindNames as unknown as readonly [KindName, ...KindName[]]),
  name: Name,
  project: optional(Name),
  way: oneOf(ways),
  fields: optional(Type.Array(Type.String(), { description: "JSON pointers of what is set back" })),
  left: optional(Type.Array(Type.String(), { description: "and of what stays as it is now" })),
  destroys: optional(Type.String({ description: "what goes with it for good" })),
  notes: optional(Type.Array(Type.String(), { description: "what is not as it was" })),
});

/** As its reply has it, for the OpenAPI document. */
export const undoSchema = {
  type: "object",
  properties: {
    undoes: strict({
      revision: Type.Integer({ description: "of its last change" }),
      at: Type.String({ format: "date-time" }),
      operation: optional(Name),
    }),
    undone: Type.Array(Undone),
    resource: { type: "object", description: "the last one of these, as it is then" },
    operation: schemaRef("Operation"),
    revision: Type.Integer({ description: "of the undo, by which it is undone itself" }),
    plan: { type: "array", items: schemaRef("PlannedChange"), description: "of a dry run: all that would change" },
    quota: { type: "array", items: schemaRef("QuotaEffect") },
    cost: { type: "array", items: schemaRef("CostEffect") },
  },
  required: ["undoes", "undone", "resource"],
  additionalProperties: false,
} as const;

/** `POST /api/v1/undo`: takes back what a mutation changed, by mutations that whoever asks must be allowed to make. */
export function undoRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "POST",
    path: "/api/v1/undo",
    operationId: "undoChange",
    summary:
      "Takes back what one mutation changed, found by its operation or by a revision: only its own fields, and only where they are still as it left them. " +
      "Needs the rights to all that the undo itself does.",
    tag: "Server",
    access: "any-token",
    query: Query,
    requestHeaders: ["X-Skerry-Reason"],
    body: { contentType: "application/json", schema: Request },
    replies: {
      200: { description: "Done; with dryRun: the plan.", schema: schemaRef("Undo") },
      202: {
        description: "Accepted: the operation, whose path is in Location, goes on with it.",
        schema: schemaRef("Undo"),
      },
    },
    handle: (call) => undo(deps, call),
  };
}

interface Done {
  readonly steps: readonly UndoStep[];
  readonly resource: ResourceOf<KindName>;
  readonly operation?: OperationResource;
}

async function undo(deps: ApiDeps, call: Call): Promise<Reply> {
  const { operation, revision, partial = false } = parseRequest(call.body);
  if ((operation === undefined) === (revision === undefined)) {
    throw new SkerryError("invalid-request", "It does not say what is to be undone.", {
      remedy: "Name one of these: operation, revision.",
    });
  }
  const { operation: wanted, mutation } = await find(deps, call, { operation, revision });
  const last = mutation.revisions[1];
  const undoes = {
    revision: last,
    at: timestamp(mutation.timeMs),
    ...(wanted === undefined ? {} : { operation: wanted }),
  };
  const note = {
    ...noteOf(call),
    undoes: { revision: last, seq: mutation.seq, ...(wanted === undefined ? {} : { operation: wanted }) },
  };
  const run = (tx: Transaction): Done => {
    if (!isSeen(tx, call, mutation)) throw unknown({ operation, revision });
    return perform(deps, call, tx, undoSteps(tx, mutation, partial));
  };
  if (call.query.dryRun === "true") {
    let steps: readonly UndoStep[] = [];
    const { result } = deps.store.rehearse((tx) =>
      rehearsed(deps, tx, call.principal, (seen) => {
        const done = run(seen);
        ({ steps } = done);
        return done;
      }),
    );
    return { status: 200, body: { undoes, undone: steps.map(undoneWords), ...result } };
  }
  const { result, changes } = await commitAs(deps, call, note, (tx) => {
    const done = run(tx);
    const { kind, metadata } = done.resource;
    return { ...done, resource: tx.getById(kind, metadata.id) ?? done.resource };
  });
  const submitted = result.operation;
  return {
    status: submitted === undefined ? 200 : 202,
    ...(submitted === undefined ? {} : { headers: { location: `/api/v1/operations/${submitted.metadata.name}` } }),
    body: {
      undoes,
      undone: result.steps.map(undoneWords),
      resource: represent(result.resource),
      ...(submitted === undefined ? {} : { operation: submitted }),
      revision: changes.at(-1)?.revision,
    },
  };
}

interface Wanted {
  readonly operation: string | undefined;
  readonly revision: number | undefined;
}

interface Found {
  readonly mutation: RecordedMutation;
  /** The name of the operation that it submitted, where it was asked for by that. */
  readonly operation?: string;
}

/** @throws SkerryError not-found for what is not there and for what who asks may not know of */
async function find(deps: ApiDeps, { principal }: Call, wanted: Wanted): Promise<Found> {
  const { records } = await deps.store.audit.read({ ...wanted, limit: 1 });
  const [record] = records;
  const mutation = record === undefined ? undefined : readRecord(record.record);
  const { operation: name, revision } = wanted;
  if (name !== undefined) {
    if (mutation !== undefined) return { mutation, operation: name };
    const operation = deps.store.get("Operation", { name });
    if (operation === undefined || !sees(principal, operation)) throw notFound("Operation", { name });
    throw new SkerryError(
      "irreversible",
      `Nobody asked for ${name}: the control plane began it (${operation.spec.cause}).`,
      {
        remedy: "Take back what caused it, or ask for what is to be instead.",
      },
    );
  }
  const [first, last] = mutation?.revisions ?? [0, 0];
  if (mutation === undefined || revision === undefined || revision < first || revision > last) throw unknown(wanted);
  return { mutation };
}

function unknown({ operation, revision }: Wanted): SkerryError {
  if (operation !== undefined) return notFound("Operation", { name: operation });
  return new SkerryError("not-found", `There is no change of revision ${revision} that somebody asked for.`, {
    remedy: "Name the revision that the answer to a change gave, or its operation.",
  });
}

function isSeen(view: View, { principal }: Call, mutation: RecordedMutation): boolean {
  const asked = askedChanges(mutation);
  const all: readonly Pick<AskedChange, "change" | "operation">[] =
    asked.length > 0 ? asked : mutation.changes.filter(({ kind }) => kind !== "Meter").map((change) => ({ change }));
  return all.length > 0 && all.every((one) => seesRecorded(view, principal, one, mutation.timeMs));
}

/** Does each step as if who asks had asked for just that: authorised, checked and counted in the same ways. */
function perform(deps: ApiDeps, call: Call, tx: Transaction, steps: readonly UndoStep[]): Done {
  let done: Omit<Done, "steps"> | undefined;
  for (const step of steps) {
    const { resource, operation } = performStep(deps, call, tx, step);
    const goingOn = done?.operation ?? operation;
    done = { resource, ...(goingOn === undefined ? {} : { operation: goingOn }) };
  }
  if (done === undefined) throw new Error("an undo without a step");
  return { ...done, steps };
}

function performStep(deps: ApiDeps, call: Call, tx: Transaction, step: UndoStep): Omit<Done, "steps"> {
  const { kind, key } = step.change;
  if (key.project !== undefined) deps.limits.admitChange(key.project, deps.ratesOf(key.project));
  const as = (verb: Parameters<typeof contextOf>[2]): WriteContext => ({
    ...contextOf(deps, call, verb),
    checkPreconditions: () => undefined,
  });
  switch (step.do) {
    case "delete":
      return remove(tx, kind, key, as("delete"));
    case "make again": {
      const { labels, spec } = step.content;
      return create(tx, kind, key, parseInput(kind, key, { metadata: { labels }, spec }), as("put"), {
        formerly: step.formerly,
      });
    }
    case "restore": {
      const now = currentOf(tx, step.change);
      if (now === undefined) throw notFound(kind, key);
      const { labels, spec } = step.content;
      const write = as("patch");
      write.authoriseChange(now);
      return change(tx, now, parseRestored(step, { metadata: { labels }, spec }), write).outcome;
    }
    case "move back":
      return act(tx, kind, key, "migrate", { toNode: step.toNode }, as("act"));
    case "cancel":
      return act(tx, "Operation", { name: step.operation }, "cancel", {}, as("act"));
  }
}

/** @throws SkerryError conflict where what was changed since does not go together with what was before */
function parseRestored(step: UndoStep & { readonly do: "restore" }, input: object): ReturnType<typeof parseInput> {
  const { kind, key } = step.change;
  try {
    return parseInput(kind, key, input);
  } catch (error) {
    if (!(error instanceof SkerryError) || step.left.length === 0) throw error;
    throw new SkerryError(
      "conflict",
      `Without ${step.left.join(", ")}, which stays, it would not be valid: ${error.message}`,
      {
        remedy: "Take back the later changes first.",
        ...(error.errors === undefined ? {} : { errors: error.errors }),
        cause: error,
      },
    );
  }
}

const words = {
  delete: "deleted",
  restore: "restored",
  "make again": "made-again",
  "move back": "moved-back",
  cancel: "cancelled",
} as const satisfies Record<UndoStep["do"], (typeof ways)[number]>;

function undoneWords(step: UndoStep): object {
  const { change: changed, notes, destroys } = step;
  const { kind, key } = changed;
  return {
    kind,
    ...key,
    way: words[step.do],
    ...(step.do === "restore" ? { fields: step.fields } : {}),
    ...(step.do === "restore" && step.left.length > 0 ? { left: step.left } : {}),
    ...(destroys === undefined ? {} : { destroys }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}
