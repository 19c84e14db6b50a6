import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { kinds, makeId, type ApiTokenResource, type KindName, type ResourceOf } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { decide } from "../../src/authorisation/authorise.ts";
import { builtInPolicies, permissionsOf } from "../../src/authorisation/policies.ts";
import { RightsIndex } from "../../src/authorisation/rights-index.ts";
import { makeDraft } from "../../src/api/draft.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

/* The index of rights after random changes, against an answer that is found anew by reading everything. */

const users = ["ana", "ben"];
const groups = ["ops", "devs"];
const projects = ["p1", "p2"];
const organisations = ["acme", "others"];

const subject = fc.oneof(
  fc.record({ kind: fc.constant("User" as const), name: fc.constantFrom(...users) }),
  fc.record({ kind: fc.constant("Group" as const), name: fc.constantFrom(...groups) }),
);
const scope = fc.oneof(
  fc.constant({}),
  fc.record({ project: fc.constantFrom(...projects) }),
  fc.record({ organisation: fc.constantFrom(...organisations) }),
);
const role = fc.constantFrom("viewer", "operator", "admin", "custom", "gone");
const change = fc.oneof(
  fc.record({
    kind: fc.constant("RoleBinding" as const),
    name: fc.constantFrom("b1", "b2", "b3"),
    spec: fc
      .tuple(role, fc.uniqueArray(subject, { minLength: 1, maxLength: 2 }), scope)
      .map(([given, subjects, where]) => ({ role: given, subjects, ...where })),
  }),
  fc.record({
    kind: fc.constant("Group" as const),
    name: fc.constantFrom(...groups),
    spec: fc.record({ members: fc.uniqueArray(fc.constantFrom(...users)) }),
  }),
  fc.record({
    kind: fc.constant("User" as const),
    name: fc.constantFrom(...users),
    spec: fc.record({ disabled: fc.boolean() }),
  }),
  fc.record({
    kind: fc.constant("Project" as const),
    name: fc.constantFrom(...projects),
    spec: fc.record({ organisation: fc.constantFrom(...organisations) }),
  }),
  fc.record({
    kind: fc.constant("Role" as const),
    name: fc.constant("custom"),
    spec: fc
      .constantFrom("Volume", "Network")
      .map((kind) => ({ policies: `permit (principal, action, resource is Skerry::${kind});` })),
  }),
);
const step = fc.record({ change, remove: fc.boolean(), fails: fc.boolean() });
interface Change {
  readonly kind: "RoleBinding" | "Group" | "User" | "Project" | "Role";
  readonly name: string;
  readonly spec: object;
}

/** What a user may do, the slow way. */
function found(view: View, user: string, verb: "read" | "put", kind: KindName, project: string): boolean {
  if (view.get("User", { name: user })?.spec.disabled !== false) return false;
  const organisation = view.get("Project", { name: project })?.spec.organisation;
  const mine = view.list("Group").filter(({ spec }) => spec.members.includes(user));
  const names = new Set([`User ${user}`, ...mine.map(({ metadata }) => `Group ${metadata.name}`)]);
  const texts = view.list("RoleBinding").flatMap(({ spec }) => {
    const isMine = spec.subjects.some((one) => names.has(`${one.kind} ${one.name}`));
    const zoneWide = spec.project === undefined && spec.organisation === undefined;
    const holds =
      zoneWide || spec.project === project || (spec.organisation !== undefined && spec.organisation === organisation);
    const policies =
      new Map(Object.entries(builtInPolicies)).get(spec.role) ?? view.get("Role", { name: spec.role })?.spec.policies;
    return isMine && holds && policies !== undefined ? [policies] : [];
  });
  return permissionsOf(texts).has(verb, kind);
}

function apply(tx: Transaction, { kind, name, spec }: Change, remove: boolean): void {
  const before: ResourceOf<KindName> | undefined = tx.get(kind, { name });
  if (remove) {
    if (before !== undefined) tx.delete(kind, before.metadata.id);
    return;
  }
  const id = before?.metadata.id ?? makeId(kinds[kind].prefix, 0, randomBytes(10));
  // What is drawn may have no prototype, which the store does not take.
  const plain = JSON.parse(JSON.stringify(spec)) as object;
  tx.put(makeDraft(kind, id, { name }, { spec: plain, labels: {}, status: {} }, 0));
}

describe("the index of rights", () => {
  test("answers as if everything were read anew, after any changes, those that fail among them", async (t) => {
    t.diagnostic(`SKERRY_TEST_SEED=${seed}`);
    await using scratch = await openScratchStore(() => 0);
    const { store } = scratch;
    const rights = new RightsIndex(store);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        for (const { change: next, remove, fails } of steps) {
          const done = store.transact((tx) => {
            apply(tx, next, remove);
            if (fails) throw new Error("on purpose");
          });
          await done.catch((error: unknown) => assert.match(String(error), /on purpose/));
        }
        for (const user of users) {
          const token = {
            metadata: { id: `atk_${user}` },
            spec: { owner: { kind: "User", name: user } },
          } as ApiTokenResource;
          const given = rights.of(token);
          const principal = given === undefined ? undefined : { name: user, tokenId: "", rights: given };
          for (const project of projects)
            for (const kind of ["Volume", "Network", "ServiceAccount"] as const)
              for (const verb of ["read", "put"] as const) {
                const may = principal !== undefined && decide(principal, verb, kind, { project }) === "allowed";
                assert.equal(may, found(store, user, verb, kind, project), `${user} ${verb} ${kind} ${project}`);
              }
        }
      }),
      { seed, numRuns: 60 },
    );
  });
});
