import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { KindName } from "@skerry/model";
import type { AuditNote, Transaction, View } from "@skerry/store";
import type { IdentityServer } from "@skerry/testkit";
import { startOidcZone, type OidcZone } from "./oidc-zone.ts";
import type { SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";

describe("a sign-in at an identity provider", { timeout: 120_000 }, () => {
  let zone: OidcZone;
  let harness: SignInHarness;
  let identity: IdentityServer;

  before(async () => {
    zone = await startOidcZone();
    ({ harness, identity } = zone);
  });
  after(() => zone[Symbol.asyncDispose]());

  test("gives a group no longer than the provider may: members that it gave go with that, and what their sessions might do", async () => {
    const { admin, store } = harness;
    identity.people.set("s-2", { preferred_username: "bob", groups: ["team-builders"] });
    identity.people.set("s-1", { preferred_username: "ana", groups: ["team-others"] });
    const both = [...(zone.spec.groups ?? []), { value: "team-others", group: "builders" }];
    await zone.change({ groups: both });
    const local = await harness.person("jo");
    const [bob, ana] = [await zone.signIn("s-2"), await zone.signIn("s-1")];
    const joined = zone.membersOf("builders");
    await harness.ask(admin, "PATCH", `${api}/groups/builders`, { spec: { members: [...(joined ?? []), "jo"] } });
    assert.deepEqual(zone.membersOf("builders"), ["bob", "ana", "jo"]);
    const subjects = [{ kind: "Group", name: "builders" }];
    await harness.ask(admin, "PUT", `${api}/role-bindings/see`, { spec: { role: "viewer", subjects } });
    const sees = async (token: string) => (await harness.ask(token, "GET", `${api}/groups/builders`)).status === 200;
    assert.deepEqual([await sees(bob.textAt("token")), await sees(ana.textAt("token"))], [true, true]);
    // For one of two values: who came by which is not known here, and told again at the next sign-in.
    await zone.change({ groups: zone.spec.groups });
    assert.deepEqual(zone.membersOf("builders"), ["jo"]);
    for (const answer of [bob, ana]) assert.equal(await sees(answer.textAt("token")), false);
    assert.equal(await sees(local.token), true);
    await zone.signIn("s-1");
    assert.equal(await sees((await zone.signIn("s-2")).textAt("token")), true);
    assert.deepEqual(zone.membersOf("builders"), ["jo", "bob"]);
    // Nothing is taken by what takes nothing.
    await zone.change({ groups: both });
    assert.deepEqual(zone.membersOf("builders"), ["jo", "bob"]);
    await zone.change({ groupsClaim: "teams" });
    assert.deepEqual(zone.membersOf("builders"), ["jo"]);
    await zone.change({ groupsClaim: "groups", groups: zone.spec.groups });
    await zone.signIn("s-2");
    const other = { ...zone.spec, issuer: "https://other.example", groups: [] };
    await harness.ask(admin, "PUT", `${api}/identity-providers/other`, { spec: other });
    const link = (name: string, subject: string) =>
      harness.post(admin, "users/bob:link", { identityProvider: name, subject });
    assert.equal((await link("corp", "s-22")).status, 200);
    assert.deepEqual(zone.membersOf("builders"), ["jo", "bob"]);
    assert.equal((await link("other", "s-2")).status, 200);
    assert.deepEqual(zone.membersOf("builders"), ["jo"]);
    assert.equal((await link("corp", "s-2")).status, 200);
    assert.equal((await harness.ask(admin, "DELETE", `${api}/identity-providers/other`)).status, 200);
    assert.equal((await harness.ask(admin, "DELETE", `${api}/role-bindings/see`)).status, 200);
    assert.equal(store.get("RoleBinding", { name: "see" }), undefined);
    await harness.ask(admin, "PATCH", `${api}/groups/builders`, { spec: { members: [] } });
    harness.pass(60_000);
  });

  test("limits a session to what its user may know of, and tells of nothing else that there is", async () => {
    const { admin } = harness;
    const must = async (path: string, body: object): Promise<void> => {
      const { status, text } = await harness.ask(admin, "PUT", `${api}/${path}`, { spec: body });
      assert.equal(status, 201, text);
    };
    for (const name of ["web", "hidden"]) await must(`projects/${name}`, { organisation: "acme" });
    for (const name of ["known", "secret"])
      await must(`roles/${name}`, {
        policies: `permit (principal, action == Skerry::Action::"read", resource is Skerry::Volume);`,
      });
    const subjects = [{ kind: "Group", name: "builders" }];
    await must("role-bindings/builders", { role: "known", project: "web", subjects });
    const local = await harness.person("kay");
    identity.people.set("s-9", { preferred_username: "lou", groups: ["team-builders"] });
    const wished = (wish: object) => zone.signIn("s-9", wish);
    // At the first sign-in too, by which they come into the group.
    const first = await wished({ project: "web", role: "known" });
    assert.equal(first.status, 201, first.text);
    for (const [field, there, absent] of [
      ["project", "hidden", "absent"],
      ["role", "secret", "absent"],
    ] as const) {
      for (const ask of [wished, (wish: object) => harness.signIn(local, wish)]) {
        const [hidden, none] = [await ask({ [field]: there }), await ask({ [field]: absent })];
        assert.equal(none.status, 400, none.text);
        assert.deepEqual([hidden.status, hidden.text], [none.status, none.text.replaceAll(absent, there)]);
      }
    }
    assert.equal((await harness.signIn(local, { role: "known" })).status, 400);
    identity.people.set("s-9", { preferred_username: "lou", groups: [] });
    // They go out of the group by this one.
    assert.equal((await wished({ project: "web" })).status, 400);
    assert.equal((await wished({ role: "viewer" })).status, 201);
    assert.equal((await harness.ask(admin, "DELETE", `${api}/role-bindings/builders`)).status, 200);
  });

  test("lasts no longer than the provider says, whatever was wished, also where that is said later", async () => {
    const { store } = harness;
    identity.people.set("s-10", { preferred_username: "pia" });
    const wished = (wish: object) => zone.signIn("s-10", wish);
    const long = await wished({ lifetimeSeconds: 2_592_000 });
    const short = await wished({ lifetimeSeconds: 600 });
    const local = await harness.person("pim");
    assert.equal((await zone.change({ maxSessionSeconds: 59 })).status, 400);
    assert.equal((await zone.change({ maxSessionSeconds: 3600 })).status, 200);
    const statuses = async (...tokens: readonly string[]) =>
      Promise.all(tokens.map(async (token) => (await harness.ask(token, "GET", `${api}/whoami`)).status));
    assert.deepEqual(await statuses(long.textAt("token"), short.textAt("token"), local.token), [401, 200, 200]);
    for (const wish of [{ lifetimeSeconds: 2_592_000 }, {}]) {
      const answer = await wished(wish);
      assert.equal(answer.status, 201, answer.text);
      const expiresInMs = Date.parse(answer.textAt("expiresAt")) - harness.nowMs();
      assert.ok(expiresInMs <= 3_600_000 && expiresInMs > 3_540_000, String(expiresInMs));
      assert.equal(store.get("ApiToken", { name: answer.textAt("name") })?.spec.lifetimeSeconds, 3600);
    }
    const last = await wished({ lifetimeSeconds: 600 });
    assert.equal(store.get("ApiToken", { name: last.textAt("name") })?.spec.lifetimeSeconds, 600);
    harness.pass(600_001);
    assert.deepEqual(await statuses(last.textAt("token")), [401]);
    await zone.change({ maxSessionSeconds: null });
  });

  test("costs what is its user's: looks through neither users nor tokens, by whatever way", async (t) => {
    const local = await harness.person("ivy");
    const looked: string[] = [];
    const watched = <V extends View>(view: V): V =>
      new Proxy(view, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key, target);
          if (typeof value !== "function") return value;
          return (...asked: readonly unknown[]): unknown => {
            if (key === "list" || key === "scan") looked.push(String(asked[0]));
            return Reflect.apply(value, target, asked);
          };
        },
      });
    const { store } = harness;
    const transact = store.transact.bind(store);
    t.mock.method(store, "transact", <T>(work: (tx: Transaction) => T, note?: AuditNote) =>
      transact((tx) => work(watched(tx)), note),
    );
    for (const key of ["list", "scan"] as const) {
      const plain = store[key].bind(store);
      t.mock.method(store, key, (kind: KindName) => (looked.push(kind), plain(kind)));
    }
    identity.people.set("s-8", { preferred_username: "gus" });
    for (const answer of [await zone.signIn("s-8"), await zone.signIn("s-8"), await harness.signIn(local)])
      assert.equal(answer.status, 201, answer.text);
    assert.deepEqual(
      looked.filter((kind) => kind !== "IdentityProvider"),
      [],
    );
    t.mock.restoreAll();
    const sessions = store.list("ApiToken").filter(({ spec: token }) => token.owner?.name === "gus");
    assert.equal(sessions.length, 2);
    assert.deepEqual(
      [...harness.people.sessionIdsOf("gus")].sort(),
      sessions.map(({ metadata }) => metadata.id).sort(),
    );
    const everywhere = { everywhere: true };
    const last = await zone.signIn("s-8");
    assert.equal((await harness.post(last.textAt("token"), "sign-out", everywhere)).at("ended"), 3);
    assert.deepEqual([...harness.people.sessionIdsOf("gus")], []);
  });
});
