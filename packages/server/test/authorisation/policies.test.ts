import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isAuthorized } from "@cedar-policy/cedar-wasm/nodejs";
import { kindNames, kinds, type KindName } from "@skerry/model";
import { builtInPolicies, checkPolicies, permissionsOf } from "../../src/authorisation/policies.ts";
import { changing, verbs, type Verb } from "../../src/authorisation/verbs.ts";

const readAll = `permit (principal, action == Skerry::Action::"read", resource);`;

describe("a role's policies", () => {
  test("permit what they say and nothing else, and one that forbids outweighs any that permits", () => {
    assert.ok(kindNames.every((kind) => verbs.every((verb) => !permissionsOf([]).has(verb, kind))));
    const some = permissionsOf([
      readAll,
      `permit (principal, action in Skerry::Action::"change", resource is Skerry::Volume);`,
    ]);
    assert.ok(some.has("read", "Node") && some.has("patch", "Volume") && some.has("act", "Volume"));
    assert.ok(!some.has("connect", "Volume") && !some.has("patch", "Node") && !some.has("backup", "Organisation"));
    const less = permissionsOf([readAll, `forbid (principal, action, resource) when { resource.scope == "zone" };`]);
    assert.ok(less.has("read", "Instance") && !less.has("read", "Node"));
  });

  test("permit what Cedar says of each verb and kind, though it is not asked of all", () => {
    for (const text of [
      ...Object.values(builtInPolicies),
      `permit (principal, action in Skerry::Action::"change", resource is Skerry::Role);`,
      `permit (principal, action == Skerry::Action::"p\\u{61}tch", resource);`,
      `${readAll} forbid (principal, action == Skerry::Action::"read", resource) when { resource.scope == "zone" && !(resource is Skerry::Site) };`,
      `permit (principal, action in [Skerry::Action::"delete", Skerry::Action::"backup"], resource) unless { resource.scope == "project" };`,
    ]) {
      const permissions = permissionsOf([text]);
      for (const kind of kindNames)
        for (const verb of verbs)
          assert.equal(permissions.has(verb, kind), isPermitted(text, verb, kind), `${verb} ${kind} by ${text}`);
    }
  });

  test("of the zone's own roles are taken by the same check as custom ones", () => {
    for (const text of Object.values(builtInPolicies)) checkPolicies(text);
  });

  for (const [what, text, why] of [
    ["what is no Cedar", "let me in", /policies can not be taken/],
    [
      "an action that there is not",
      `permit (principal, action == Skerry::Action::"raed", resource);`,
      /unrecognized action/,
    ],
    ["a kind that there is not", `permit (principal, action, resource is Skerry::Instanse);`, /Instanse/],
    ["a field that there is not", `permit (principal, action, resource) when { resource.owner == "me" };`, /owner/],
    ["whom it is for", `permit (principal == Skerry::Caller::"ana", action, resource);`, /bind the role to whom/],
    ["where it holds", `permit (principal, action, resource == Skerry::Site::"mad");`, /bind the role where/],
    [
      "one thing in a condition",
      `permit (principal, action, resource) when { resource == Skerry::Site::"mad" };`,
      /more than/,
    ],
    [
      "the caller in a condition",
      `permit (principal, action, resource) when { principal is Skerry::Caller };`,
      /more than/,
    ],
    ["something in escapes", `permit (principal, action == Skerry::Action::"p\\u{61}tch", resource);`, /a backslash/],
    ["a template", `permit (principal == ?principal, action, resource);`, /can not be taken/],
  ] as const) {
    test(`are refused where they name ${what}`, () => {
      assert.throws(() => checkPolicies(text), { code: "invalid-request", message: why });
    });
  }

  test("that can't be parsed permit nothing, whatever stands beside them", () => {
    assert.ok(!permissionsOf([readAll, "nonsense"]).has("read", "Node"));
  });
});

function isPermitted(text: string, verb: Verb, kind: KindName): boolean {
  const [change, action] = ["change", verb].map((id) => ({ type: "Skerry::Action", id }));
  const [principal, resource] = ["Caller", kind].map((type) => ({ type: `Skerry::${type}`, id: "any" }));
  if (change === undefined || action === undefined || principal === undefined || resource === undefined) return false;
  const answer = isAuthorized({
    ...{ principal, action, resource, context: {}, validateRequest: false },
    policies: { staticPolicies: text },
    entities: [
      { uid: change, attrs: {}, parents: [] },
      { uid: action, attrs: {}, parents: changing.has(verb) ? [change] : [] },
      { uid: resource, attrs: { scope: kinds[kind].scope }, parents: [] },
    ],
  });
  return answer.type === "success" && answer.response.decision === "allow";
}
