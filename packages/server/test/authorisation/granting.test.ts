import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeTokenWatch } from "../../src/authorisation/token-watch.ts";
import { authenticate } from "../../src/authorisation/authentication.ts";
import { apiTokenIntents } from "../../src/controllers/intents/api-token.ts";
import { organisationIntents } from "../../src/controllers/intents/organisation.ts";
import { projectIntents } from "../../src/controllers/intents/project.ts";
import { roleBindingIntents } from "../../src/controllers/intents/role-binding.ts";
import { roleIntents } from "../../src/controllers/intents/role.ts";
import { groupIntents, serviceAccountIntents, userIntents } from "../../src/controllers/intents/subjects.ts";
import { systemClock } from "../../src/operations/clock.ts";
import { systemRandom } from "../../src/operations/random.ts";
import { startApi, type Answer, type ApiHarness } from "../api/api-harness.ts";
import { plainIntents } from "../api/plain-intents.ts";

const api = "/api/v1";
/** Keeps people and their rights, and may do nothing with what they are for. */
const keeper = `permit (principal, action == Skerry::Action::"read", resource);
permit (principal, action in Skerry::Action::"change", resource) when {
  resource is Skerry::User || resource is Skerry::Group || resource is Skerry::Role ||
  resource is Skerry::RoleBinding || resource is Skerry::ApiToken || resource is Skerry::ServiceAccount
};`;

describe("giving rights", () => {
  let harness: ApiHarness;
  let as: Readonly<Record<"keeper" | "boss" | "owner" | "tenant", string>>;

  const put = (token: string, path: string, spec: object): Promise<Answer> =>
    harness.ask(token, "PUT", `${api}/${path}`, { spec });
  const must = async (answer: Promise<Answer>): Promise<Answer> => {
    const { status, text } = await answer;
    assert.ok(status < 300, text);
    return answer;
  };
  const bind = (token: string, name: string, role: string, user: string, scope: object = {}): Promise<Answer> =>
    put(token, `role-bindings/${name}`, { role, subjects: [{ kind: "User", name: user }], ...scope });
  const tokenOf = async (name: string): Promise<string> => {
    const made = await must(put(harness.admin, `api-tokens/${name}`, { owner: { kind: "User", name } }));
    return made.textAt("secret");
  };

  before(async () => {
    harness = await startApi(({ rights, people }) => ({
      intents: {
        ...plainIntents,
        Organisation: organisationIntents,
        Project: projectIntents,
        ApiToken: apiTokenIntents({ random: systemRandom, rights }),
        User: userIntents({ rights, random: systemRandom, people }),
        Group: groupIntents({ rights }),
        ServiceAccount: serviceAccountIntents({ rights }),
        Role: roleIntents({ rights }),
        RoleBinding: roleBindingIntents({ rights }),
      },
    }));
    const { admin } = harness;
    await must(put(admin, "organisations/acme", {}));
    await must(put(admin, "organisations/others", {}));
    await must(put(admin, "projects/ours", { organisation: "acme" }));
    await must(put(admin, "projects/theirs", { organisation: "others" }));
    await must(put(admin, "roles/keeper", { policies: keeper }));
    for (const name of ["keeper", "boss", "owner", "tenant"]) await must(put(admin, `users/${name}`, {}));
    await must(put(admin, "groups/bosses", { members: ["boss"] }));
    await must(
      put(admin, "role-bindings/bosses", { role: "platform-admin", subjects: [{ kind: "Group", name: "bosses" }] }),
    );
    await must(bind(admin, "keeper", "keeper", "keeper"));
    await must(bind(admin, "owner", "admin", "owner", { organisation: "acme" }));
    await must(bind(admin, "tenant", "admin", "tenant", { project: "ours" }));
    as = {
      keeper: await tokenOf("keeper"),
      boss: await tokenOf("boss"),
      owner: await tokenOf("owner"),
      tenant: await tokenOf("tenant"),
    };
  });
  after(() => harness[Symbol.asyncDispose]());

  test("nobody gives a role that permits more than their own, in a binding, a token, a group or a role", async () => {
    // Without any rights yet: whoever had a token of theirs would come into what they are given later.
    await must(put(harness.admin, "users/novice", {}));
    const revision = harness.store.revision;
    for (const attempt of [
      put(as.keeper, "api-tokens/mine", { owner: { kind: "User", name: "novice" } }),
      put(as.tenant, "api-tokens/mine", { owner: { kind: "User", name: "novice" }, role: "viewer", project: "ours" }),
      bind(as.keeper, "mine", "platform-admin", "keeper"),
      bind(as.keeper, "mine", "operator", "keeper", { project: "ours" }),
      put(as.keeper, "api-tokens/mine", { role: "admin" }),
      put(as.keeper, "api-tokens/mine", { owner: { kind: "User", name: "boss" } }),
      put(as.keeper, "api-tokens/mine", { owner: { kind: "User", name: "boss" }, role: "viewer" }),
      put(as.keeper, "groups/bosses", { members: ["boss", "keeper"] }),
      put(as.keeper, "roles/mine", { policies: "permit (principal, action, resource);" }),
      put(as.keeper, "roles/keeper", {
        policies: `${keeper}\npermit (principal, action, resource is Skerry::Volume);`,
      }),
    ]) {
      const { status, text } = await attempt;
      assert.equal(status, 403, text);
    }
    assert.equal(harness.store.revision, revision);
  });

  test("nobody changes or deposes whoever has more than they have", async () => {
    const revision = harness.store.revision;
    const { keeper: token } = as;
    for (const attempt of [
      put(token, "users/boss", { disabled: true }),
      harness.ask(token, "DELETE", `${api}/users/boss`),
      // Whoever makes the link could use it; of one without rights too, who may be given them later.
      harness.ask(token, "POST", `${api}/users/boss:invite`, {}),
      harness.ask(token, "POST", `${api}/users/tenant:invite`, {}),
      harness.ask(token, "DELETE", `${api}/api-tokens/boss`),
      harness.ask(token, "DELETE", `${api}/api-tokens/root`),
      harness.ask(token, "DELETE", `${api}/role-bindings/bosses`),
      put(token, "role-bindings/bosses", { role: "platform-admin", subjects: [{ kind: "User", name: "keeper" }] }),
      harness.ask(token, "DELETE", `${api}/groups/bosses`),
    ]) {
      const { status, text } = await attempt;
      assert.equal(status, 403, text);
    }
    assert.equal(harness.store.revision, revision);
  });

  test("nobody lifts what is forbidden to somebody who is held by it, or has not what it forbids", async () => {
    const { admin } = harness;
    const forbid = `forbid (principal, action in Skerry::Action::"change", resource is Skerry::Volume);`;
    await must(put(admin, "roles/no-volumes", { policies: forbid }));
    await must(put(admin, "users/other", {}));
    await must(put(admin, "groups/held", { members: ["tenant"] }));
    const inOurs = { role: "no-volumes", project: "ours" };
    await must(put(as.owner, "role-bindings/held", { ...inOurs, subjects: [{ kind: "Group", name: "held" }] }));
    await must(bind(as.owner, "held-here", "no-volumes", "other", { project: "ours" }));
    await must(bind(admin, "held-around", "no-volumes", "other", { organisation: "acme" }));
    const volume = (token: string) => harness.ask(token, "DELETE", `${api}/projects/ours/volumes/none`);
    const attempts = (token: string, names: readonly string[]): readonly Promise<Answer>[] =>
      names.flatMap((name) => [
        harness.ask(token, "DELETE", `${api}/role-bindings/${name}`),
        harness.ask(token, "PATCH", `${api}/role-bindings/${name}`, {
          spec: { subjects: [{ kind: "User", name: "keeper" }] },
        }),
      ]);
    const revision = harness.store.revision;
    for (const attempt of [
      ...attempts(as.tenant, ["held", "held-here"]),
      ...attempts(as.keeper, ["held", "held-here", "held-around"]),
      put(as.keeper, "groups/held", { members: [] }),
      put(as.keeper, "users/tenant", { disabled: true }),
      put(as.keeper, "roles/no-volumes", { policies: forbid.replace("Volume", "User") }),
    ]) {
      const { status, text } = await attempt;
      assert.equal(status, 403, text);
    }
    assert.equal(harness.store.revision, revision);
    // Held in one project of it, an organisation's admin has not all that is forbidden in the organisation.
    await must(bind(admin, "held-owner", "no-volumes", "owner", { project: "ours" }));
    for (const attempt of attempts(as.owner, ["held-here", "held-around"])) assert.equal((await attempt).status, 403);
    await must(harness.ask(admin, "DELETE", `${api}/role-bindings/held-owner`));
    await must(harness.ask(as.owner, "DELETE", `${api}/role-bindings/held-around`));
    assert.equal((await volume(as.tenant)).status, 403);
    for (const name of ["held", "held-here"])
      await must(harness.ask(as.owner, "DELETE", `${api}/role-bindings/${name}`));
    assert.equal((await volume(as.tenant)).status, 404);
  });

  test("nobody forbids anything to whoever has more than they have, by a binding, a group or a role", async () => {
    const { admin } = harness;
    const forbid = `forbid (principal, action == Skerry::Action::"delete", resource is Skerry::User);`;
    await must(put(as.keeper, "roles/no-user-goes", { policies: forbid }));
    await must(put(as.keeper, "roles/gentle", { policies: forbid.replace("forbid", "permit") }));
    await must(bind(admin, "gentle", "gentle", "boss"));
    await must(put(as.keeper, "groups/trap", { members: [] }));
    const trap = { role: "no-user-goes", subjects: [{ kind: "Group", name: "trap" }] };
    await must(put(as.keeper, "role-bindings/trap", trap));
    const revision = harness.store.revision;
    for (const attempt of [
      bind(as.tenant, "against", "no-volumes", "boss", { project: "ours" }),
      bind(as.owner, "against", "no-volumes", "boss", { project: "ours" }),
      bind(as.keeper, "against", "no-user-goes", "boss"),
      put(as.keeper, "role-bindings/trap", { ...trap, subjects: [{ kind: "Group", name: "bosses" }] }),
      put(as.keeper, "groups/trap", { members: ["boss"] }),
      put(as.keeper, "roles/gentle", { policies: forbid }),
      put(as.keeper, "roles/against", { policies: "forbid (principal, action, resource);" }),
    ]) {
      const { status, text } = await attempt;
      assert.equal(status, 403, text);
    }
    assert.equal(harness.store.revision, revision);
    await must(put(admin, "users/helper", {}));
    await must(bind(as.tenant, "helper", "operator", "helper", { project: "ours" }));
    await must(bind(as.tenant, "helper-held", "no-volumes", "helper", { project: "ours" }));
    for (const name of ["helper-held", "helper"])
      await must(harness.ask(as.tenant, "DELETE", `${api}/role-bindings/${name}`));
    for (const name of ["gentle", "trap"]) await must(harness.ask(admin, "DELETE", `${api}/role-bindings/${name}`));
  });

  test("an organisation's admin gives within it, and sees nothing beside it", async () => {
    await must(bind(as.owner, "helps", "operator", "tenant", { organisation: "acme" }));
    await must(bind(as.owner, "looks", "viewer", "keeper", { project: "ours" }));
    assert.equal((await bind(as.owner, "beyond", "viewer", "tenant", { project: "theirs" })).status, 403);
    assert.equal((await bind(as.owner, "beyond", "viewer", "tenant")).status, 403);
    const { text } = await harness.ask(as.owner, "GET", `${api}/role-bindings`);
    assert.ok(text.includes('"helps"') && text.includes('"tenant"') && !text.includes('"bosses"'));
    for (const name of ["helps", "looks"]) await must(harness.ask(as.owner, "DELETE", `${api}/role-bindings/${name}`));
  });

  test("a project's admin changes what is in it, but not the project, and makes none", async () => {
    await must(put(as.tenant, "projects/ours/service-accounts/robot", {}));
    await must(
      put(as.tenant, "api-tokens/robot", { owner: { kind: "ServiceAccount", project: "ours", name: "robot" } }),
    );
    assert.equal((await put(as.tenant, "projects/ours", { organisation: "acme", displayName: "mine" })).status, 403);
    assert.equal((await harness.ask(as.tenant, "DELETE", `${api}/projects/ours`)).status, 403);
    assert.equal((await put(as.tenant, "projects/more", { organisation: "acme" })).status, 404);
    assert.equal((await put(as.tenant, "api-tokens/wide", { role: "viewer" })).status, 403);
    await must(put(as.owner, "projects/more", { organisation: "acme" }));
    assert.equal((await put(as.owner, "projects/far", { organisation: "others" })).status, 403);
    assert.equal((await put(as.owner, "projects/far", { organisation: "nowhere" })).status, 403);
  });

  test("what is taken away is gone at the next request, and ends what streams", async () => {
    const { admin, store, rights } = harness;
    await must(put(admin, "users/guest", {}));
    await must(bind(admin, "guest", "viewer", "guest", { project: "ours" }));
    const token = await tokenOf("guest");
    const watch = makeTokenWatch(store, rights, systemClock);
    using held = watch.hold(authenticate(store, rights, token, Date.now()));
    await must(bind(admin, "aside", "viewer", "keeper", { project: "ours" }));
    assert.ok(!held.signal.aborted);
    assert.equal((await harness.ask(token, "GET", `${api}/projects/ours`)).status, 200);
    await must(harness.ask(admin, "DELETE", `${api}/role-bindings/guest`));
    assert.equal((await harness.ask(token, "GET", `${api}/projects/ours`)).status, 404);
    assert.ok(held.signal.aborted);
    await must(put(admin, "users/guest", { disabled: true }));
    assert.equal((await harness.ask(token, "GET", `${api}/whoami`)).status, 401);
    watch.close();
  });

  test("a token gives its owner's rights within its own limit, and no more than they have by then", async () => {
    const limit = { owner: { kind: "User", name: "boss" }, role: "viewer", project: "ours" };
    const token = (await must(put(as.boss, "api-tokens/narrow", limit))).textAt("secret");
    assert.equal((await harness.ask(token, "GET", `${api}/projects/ours`)).status, 200);
    assert.equal((await harness.ask(token, "GET", `${api}/projects/theirs`)).status, 404);
    assert.equal((await put(token, "projects/ours/volumes/v", { sizeMiB: 1 })).status, 403);
    await must(put(harness.admin, "groups/bosses", { members: [] }));
    assert.equal((await harness.ask(token, "GET", `${api}/projects/ours`)).status, 404);
    await must(put(harness.admin, "groups/bosses", { members: ["boss"] }));
  });

  test("what gives rights or is given them can't go while that would leave them to a namesake", async () => {
    for (const path of ["users/tenant", "roles/keeper", "organisations/acme", "projects/ours", "groups/bosses"]) {
      const { status, text } = await harness.ask(harness.admin, "DELETE", `${api}/${path}`);
      assert.equal(status, 409, `${path}: ${text}`);
    }
  });

  test("a role of the zone's own can't be made, and a binding names what there is", async () => {
    const { admin } = harness;
    assert.equal((await put(admin, "roles/viewer", { policies: keeper })).status, 409);
    for (const [role, scope] of [
      ["nothing", {}],
      ["viewer", { project: "nowhere" }],
      ["viewer", { project: "ours", organisation: "acme" }],
      ["platform-admin", { project: "ours" }],
    ] as const)
      assert.equal((await bind(admin, "odd", role, "tenant", scope)).status, 400, role);
    assert.equal((await bind(admin, "odd", "viewer", "nobody")).status, 400);
    assert.equal((await put(admin, "api-tokens/odd", {})).status, 400);
  });
});
