import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { kindNames } from "@skerry/model";
import { builtInPolicies, checkPolicies, permissionsOf } from "../../src/authorisation/policies.ts";
import { verbs } from "../../src/authorisation/verbs.ts";

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
