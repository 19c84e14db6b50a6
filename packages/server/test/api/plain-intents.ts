import { strict, optional, kinds, type KindName, type OperationResource, type ResourceOf } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { Type } from "typebox";
import { makeDraft } from "../../src/api/draft.ts";
import { formatApiToken } from "../../src/authorisation/api-token.ts";
import { mintSecret } from "../../src/authorisation/secret.ts";
import type { ActionIntent, IntentContext, IntentTable, KindIntents } from "../../src/intents.ts";

/* Intents without rules: what the API itself does is all that a test sees. */

const initialStatuses: { readonly [K in KindName]: ResourceOf<K>["status"] } = {
  Organisation: {},
  Project: {},
  Provider: { conditions: [] },
  Site: {},
  Node: { connected: false, conditions: [] },
  Image: { state: "pending" },
  Volume: { state: "absent", conditions: [] },
  Network: { conditions: [] },
  Instance: { state: "pending", health: "unknown", addresses: [], conditions: [] },
  Operation: { state: "pending", steps: [], notes: {} },
  JoinToken: {},
  ApiToken: {},
  User: {},
  Group: {},
  ServiceAccount: {},
  Role: {},
  RoleBinding: {},
  IdentityProvider: {},
  Meter: { sites: [] },
  DisruptionBudget: {},
};

function plain<K extends KindName>(kind: K, actions: KindIntents<K>["actions"] = {}): KindIntents<K> {
  return {
    initialStatus: initialStatuses[kind],
    create: (tx, draft) => ({ resource: tx.put(draft) }),
    update: (tx, _before, after) => ({ resource: tx.put(after) }),
    remove: (tx, resource) => {
      tx.delete(kind, resource.metadata.id);
      return { resource };
    },
    actions,
  };
}

/** Starts an operation that nothing ever runs. */
const restart: ActionIntent<"Instance"> = {
  summary: "Restarts it.",
  input: strict({ graceSeconds: optional(Type.Integer()) }),
  run: (tx, instance, input, context) => ({
    resource: instance,
    operation: makeOperation(tx, instance, input, context),
  }),
};

const cancel: ActionIntent<"Operation"> = {
  summary: "Cancels it.",
  input: strict({}),
  run: (tx, operation) => {
    const cancelled = tx.put({ ...operation, status: { ...operation.status, state: "cancelled" } });
    return { resource: cancelled, operation: cancelled };
  },
};

function makeOperation(
  tx: Transaction,
  instance: ResourceOf<"Instance">,
  input: Readonly<Record<string, unknown>>,
  context: IntentContext,
): OperationResource {
  const id = context.makeId(kinds.Operation.prefix);
  const { name, project } = instance.metadata;
  const spec = {
    type: "instance.restart",
    targets: [{ kind: "Instance", name, ...(project === undefined ? {} : { project }) }],
    actor: context.actor,
    cause: context.cause,
    input: { ...input },
    deadlineAt: new Date(context.nowMs + 60_000).toISOString(),
  };
  const key = { name: id.replaceAll("_", "-") };
  return tx.put(
    makeDraft("Operation", id, key, { spec, labels: {}, status: initialStatuses.Operation }, context.nowMs),
  );
}

const tokens: KindIntents<"ApiToken"> = {
  ...plain("ApiToken"),
  create: (tx, draft, context) => {
    const { secret, hash } = mintSecret();
    const { lifetimeSeconds } = draft.spec;
    const expiry =
      lifetimeSeconds === undefined
        ? {}
        : { expiresAt: new Date(context.nowMs + lifetimeSeconds * 1000).toISOString() };
    const resource = tx.put({ ...draft, status: { secretHash: hash, ...expiry } });
    return { resource, secret: formatApiToken({ id: draft.metadata.id, secret }) };
  },
};

export const plainIntents: IntentTable = {
  Organisation: plain("Organisation"),
  Project: plain("Project"),
  Provider: plain("Provider"),
  Site: plain("Site"),
  Node: plain("Node"),
  Image: plain("Image"),
  Volume: plain("Volume"),
  Network: plain("Network"),
  Instance: plain("Instance", { restart }),
  Operation: plain("Operation", { cancel }),
  JoinToken: plain("JoinToken"),
  ApiToken: tokens,
  User: plain("User"),
  Group: plain("Group"),
  ServiceAccount: plain("ServiceAccount"),
  Role: plain("Role"),
  RoleBinding: plain("RoleBinding"),
  IdentityProvider: plain("IdentityProvider"),
  Meter: plain("Meter"),
  DisruptionBudget: plain("DisruptionBudget"),
};
