import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { IdentityProviderResource, KindName } from "@skerry/model";
import type { AuditNote, Transaction, View } from "@skerry/store";
import { startIdentityServer, type IdentityServer } from "@skerry/testkit";
import type { Answer } from "../api/api-harness.ts";
import { startSignIn, type SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";
const redirectUri = "http://127.0.0.1:8400/callback";
const clientSecret = "the secret of the client";

/* Against the real oidc-provider, by its own pages. */
describe("signing in at an identity provider", { timeout: 120_000 }, () => {
  let harness: SignInHarness;
  let identity: IdentityServer;
  let spec: IdentityProviderResource["spec"];

  const begin = () => harness.post(undefined, "sign-in/browser/begin", { identityProvider: "corp", redirectUri });
  const finish = (draft: string, answer: string, limits = {}) =>
    harness.post(undefined, "sign-in/browser", { draft, answer, ...limits });
  const signIn = async (login: string): Promise<Answer> => {
    const begun = await begin();
    assert.equal(begun.status, 200, begun.text);
    return finish(begun.textAt("draft"), await identity.visit(begun.textAt("authorizationUrl"), login));
  };
  const device = async (): Promise<Answer> => {
    const begun = await harness.post(undefined, "sign-in/device/begin", { identityProvider: "corp" });
    assert.equal(begun.status, 200, begun.text);
    return begun;
  };
  const poll = (begun: Answer) => harness.post(undefined, "sign-in/device", { draft: begun.textAt("draft") });
  const who = (answer: Answer) => harness.ask(answer.textAt("token"), "GET", `${api}/whoami`);
  const change = (patch: object) =>
    harness.ask(harness.admin, "PATCH", `${api}/identity-providers/corp`, { spec: patch });
  const membersOf = (group: string) => harness.store.get("Group", { name: group })?.spec.members;

  before(async () => {
    harness = await startSignIn();
    identity = await startIdentityServer(clientSecret);
    for (const name of ["builders", "bosses"])
      await harness.ask(harness.admin, "PUT", `${api}/groups/${name}`, { spec: { members: [] } });
    spec = {
      ...{
        issuer: identity.issuer,
        clientId: "skerry",
        clientSecret,
        scopes: ["profile", "groups"],
        createsUsers: true,
      },
      ...{ groupsClaim: "groups", groups: [{ value: "team-builders", group: "builders" }] },
    };
    const made = await harness.ask(harness.admin, "PUT", `${api}/identity-providers/corp`, { spec });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.at("resource.spec.clientSecret"), "(sealed)");
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await identity[Symbol.asyncDispose]();
  });

  test("by a browser that comes back makes a user at the first time, and a session as any other", async () => {
    identity.people.set("s-1", {
      preferred_username: "Ana.García",
      name: "Ana García",
      email: "ana@example.org",
      email_verified: true,
    });
    const answer = await signIn("s-1");
    assert.equal(answer.status, 201, answer.text);
    const me = await who(answer);
    assert.deepEqual([me.at("name"), me.at("owner")], ["ana-garcia", "User"]);
    const user = harness.store.get("User", { name: "ana-garcia" });
    assert.deepEqual(user?.status.identity, { identityProvider: "corp", issuer: identity.issuer, subject: "s-1" });
    assert.deepEqual(user?.spec, { displayName: "Ana García", email: "ana@example.org" });
    const session = harness.store.get("ApiToken", { name: answer.textAt("name") });
    assert.deepEqual(session?.status.session, { by: "identity-provider", identityProvider: "corp" });
    assert.equal((await harness.post(answer.textAt("token"), "sign-out")).at("ended"), 1);
    assert.equal((await who(answer)).status, 401);
    assert.equal((await signIn("s-1")).textAt("user"), "ana-garcia");
    // Nothing proves them but their provider.
    assert.equal((await harness.post(harness.admin, "users/ana-garcia:invite")).status, 409);
  });

  test("by a device's code waits until the person has agreed elsewhere, and asks no more often than it may", async () => {
    identity.people.set("s-2", { preferred_username: "bob" });
    const begun = await device();
    const first = await poll(begun);
    assert.deepEqual([first.status, first.at("retryAfterSeconds")], [202, 5]);
    assert.equal((await poll(begun)).status, 202);
    await identity.confirm(begun.textAt("verificationUri"), begun.textAt("userCode"), "s-2");
    assert.equal((await poll(begun)).status, 202);
    harness.pass(5000);
    const answer = await poll(begun);
    assert.equal(answer.status, 201, answer.text);
    assert.equal((await who(answer)).at("name"), "bob");
    harness.pass(5000);
    assert.equal((await poll(begun)).status, 401);
  });

  test("takes a browser's answer once, from who began, with the state that was sent, and no other's", async () => {
    identity.people.set("s-3", { preferred_username: "cyd" });
    const [one, two] = [await begin(), await begin()];
    const answer = await identity.visit(one.textAt("authorizationUrl"), "s-3");
    // Another's draft: neither its state nor its verifier fits.
    assert.equal((await finish(two.textAt("draft"), answer)).status, 401);
    const forged = new URLSearchParams(answer);
    forged.set("state", two.textAt("state"));
    const three = await begin();
    forged.set("state", three.textAt("state"));
    assert.equal((await finish(three.textAt("draft"), forged.toString())).status, 401);
    const four = await begin();
    const mixed = new URLSearchParams(await identity.visit(four.textAt("authorizationUrl"), "s-3"));
    assert.equal(mixed.get("iss"), identity.issuer);
    mixed.set("iss", "https://evil.example");
    assert.equal((await finish(four.textAt("draft"), mixed.toString())).status, 401);
    assert.equal((await finish("sealed:1:AAAA", answer)).status, 401);
    const fresh = await begin();
    const right = await identity.visit(fresh.textAt("authorizationUrl"), "s-3");
    assert.equal((await finish(fresh.textAt("draft"), right)).status, 201);
    assert.equal((await finish(fresh.textAt("draft"), right)).status, 401);
    const late = await begin();
    const lateAnswer = await identity.visit(late.textAt("authorizationUrl"), "s-3");
    harness.pass(600_000);
    assert.equal((await finish(late.textAt("draft"), lateAnswer)).status, 401);
    for (const elsewhere of [
      "https://evil.example/callback",
      "http://127.0.0.1.evil.example:80/callback",
      "http://127.0.0.1:8400/x",
    ]) {
      const refused = await harness.post(undefined, "sign-in/browser/begin", {
        identityProvider: "corp",
        redirectUri: elsewhere,
      });
      assert.equal(refused.status, 400, elsewhere);
    }
    // A draft of one kind is none of the other.
    assert.equal((await finish((await device()).textAt("draft"), answer)).status, 401);
  });

  test("knows a person by issuer and subject alone, whatever they are called there by now", async () => {
    await harness.ask(harness.admin, "PUT", `${api}/users/root-user`, { spec: { email: "root@example.org" } });
    identity.people.set("s-4", { preferred_username: "root-user", email: "root@example.org", email_verified: true });
    const answer = await signIn("s-4");
    assert.equal(answer.status, 201, answer.text);
    const name = answer.textAt("user");
    assert.match(name, /^root-user-[0-9a-f]{16}$/);
    assert.equal(harness.store.get("User", { name: "root-user" })?.status.identity, undefined);
    identity.people.set("s-4", { preferred_username: "somebody-else" });
    assert.equal((await signIn("s-4")).textAt("user"), name);
    identity.people.set("s-5", { preferred_username: "somebody-else" });
    assert.equal((await signIn("s-5")).textAt("user"), "somebody-else");
  });

  test("gives and takes the groups that it may, and no others", async () => {
    await harness.ask(harness.admin, "PATCH", `${api}/groups/bosses`, { spec: { members: ["bob"] } });
    identity.people.set("s-2", { preferred_username: "bob", groups: ["team-builders", "bosses", "other"] });
    await signIn("s-2");
    assert.deepEqual([membersOf("builders"), membersOf("bosses")], [["bob"], ["bob"]]);
    identity.people.set("s-2", { preferred_username: "bob", groups: [] });
    await signIn("s-2");
    assert.deepEqual([membersOf("builders"), membersOf("bosses")], [[], ["bob"]]);
    identity.people.set("s-1", { groups: "bosses" });
    await signIn("s-1");
    assert.deepEqual(membersOf("bosses"), ["bob"]);
    assert.equal((await harness.ask(harness.admin, "DELETE", `${api}/groups/builders`)).status, 409);
  });

  test("gives a group no longer than the provider may: members that it gave go with that, and what their sessions might do", async () => {
    const { admin, store } = harness;
    identity.people.set("s-2", { preferred_username: "bob", groups: ["team-builders"] });
    identity.people.set("s-1", { groups: ["team-others"] });
    const both = [...(spec.groups ?? []), { value: "team-others", group: "builders" }];
    await change({ groups: both });
    const local = await harness.person("jo");
    const [bob, ana] = [await signIn("s-2"), await signIn("s-1")];
    const joined = membersOf("builders");
    await harness.ask(admin, "PATCH", `${api}/groups/builders`, { spec: { members: [...(joined ?? []), "jo"] } });
    assert.deepEqual(membersOf("builders"), ["bob", "ana-garcia", "jo"]);
    const subjects = [{ kind: "Group", name: "builders" }];
    await harness.ask(admin, "PUT", `${api}/role-bindings/see`, { spec: { role: "viewer", subjects } });
    const sees = async (token: string) => (await harness.ask(token, "GET", `${api}/groups/builders`)).status === 200;
    assert.deepEqual([await sees(bob.textAt("token")), await sees(ana.textAt("token"))], [true, true]);
    // For one of two values: who came by which is not known here, and told again at the next sign-in.
    await change({ groups: spec.groups });
    assert.deepEqual(membersOf("builders"), ["jo"]);
    for (const answer of [bob, ana]) assert.equal(await sees(answer.textAt("token")), false);
    assert.equal(await sees(local.token), true);
    await signIn("s-1");
    assert.equal(await sees((await signIn("s-2")).textAt("token")), true);
    assert.deepEqual(membersOf("builders"), ["jo", "bob"]);
    // Nothing is taken by what takes nothing.
    await change({ groups: both });
    assert.deepEqual(membersOf("builders"), ["jo", "bob"]);
    await change({ groupsClaim: "teams" });
    assert.deepEqual(membersOf("builders"), ["jo"]);
    await change({ groupsClaim: "groups", groups: spec.groups });
    await signIn("s-2");
    const other = { ...spec, issuer: "https://other.example", groups: [] };
    await harness.ask(admin, "PUT", `${api}/identity-providers/other`, { spec: other });
    const link = (name: string, subject: string) =>
      harness.post(admin, "users/bob:link", { identityProvider: name, subject });
    assert.equal((await link("corp", "s-22")).status, 200);
    assert.deepEqual(membersOf("builders"), ["jo", "bob"]);
    assert.equal((await link("other", "s-2")).status, 200);
    assert.deepEqual(membersOf("builders"), ["jo"]);
    assert.equal((await link("corp", "s-2")).status, 200);
    assert.equal((await harness.ask(admin, "DELETE", `${api}/identity-providers/other`)).status, 200);
    assert.equal((await harness.ask(admin, "DELETE", `${api}/role-bindings/see`)).status, 200);
    assert.equal(store.get("RoleBinding", { name: "see" }), undefined);
    await harness.ask(admin, "PATCH", `${api}/groups/builders`, { spec: { members: [] } });
    harness.pass(60_000);
  });

  test("lets in whom the provider's rules admit, and nobody who is disabled or not linked", async () => {
    identity.people.set("s-6", { preferred_username: "dan", groups: ["staff"] });
    await change({ admits: { claim: "groups", values: ["staff"] } });
    assert.equal((await signIn("s-5")).status, 403);
    assert.equal((await signIn("s-6")).status, 201);
    await change({ admits: null, createsUsers: false });
    identity.people.set("s-7", { preferred_username: "fay" });
    const refused = await signIn("s-7");
    assert.equal(refused.status, 403);
    assert.match(refused.text, /skerry user link NAME --identity-provider corp --subject s-7/);
    await harness.ask(harness.admin, "PUT", `${api}/users/fay-here`, { spec: {} });
    const link = { identityProvider: "corp", subject: "s-7" };
    assert.equal((await harness.post(harness.admin, "users/fay-here:link", link)).status, 200);
    assert.equal((await harness.post(harness.admin, "users/bob:link", link)).status, 409);
    assert.equal((await signIn("s-7")).textAt("user"), "fay-here");
    await harness.ask(harness.admin, "PATCH", `${api}/users/fay-here`, { spec: { disabled: true } });
    assert.equal((await signIn("s-7")).status, 403);
    await change({ createsUsers: true });
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
    const wished = async (wish: object): Promise<Answer> => {
      const begun = await begin();
      return finish(begun.textAt("draft"), await identity.visit(begun.textAt("authorizationUrl"), "s-9"), wish);
    };
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
    const wished = async (wish: object): Promise<Answer> => {
      const begun = await begin();
      return finish(begun.textAt("draft"), await identity.visit(begun.textAt("authorizationUrl"), "s-10"), wish);
    };
    const long = await wished({ lifetimeSeconds: 2_592_000 });
    const short = await wished({ lifetimeSeconds: 600 });
    const local = await harness.person("pim");
    assert.equal((await change({ maxSessionSeconds: 59 })).status, 400);
    assert.equal((await change({ maxSessionSeconds: 3600 })).status, 200);
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
    await change({ maxSessionSeconds: null });
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
    for (const answer of [await signIn("s-8"), await signIn("s-8"), await harness.signIn(local)])
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
    const last = await signIn("s-8");
    assert.equal((await harness.post(last.textAt("token"), "sign-out", everywhere)).at("ended"), 3);
    assert.deepEqual([...harness.people.sessionIdsOf("gus")], []);
  });

  test("goes on when the provider signs by other keys, and ends with the provider", async () => {
    // So that none of the sign-ins to come is one too many.
    harness.pass(600_000);
    assert.equal((await signIn("s-6")).status, 201);
    await identity.rotateKeys();
    // A key that is not known is looked for, no more often than once a second.
    let answer = await signIn("s-6");
    for (const deadline = Date.now() + 10_000; answer.status !== 201 && Date.now() < deadline;) {
      await setTimeout(200);
      answer = await signIn("s-6");
    }
    assert.equal(answer.status, 201, answer.text);
    harness.pass(600_000);
    const pending = await begin();
    const brought = await identity.visit(pending.textAt("authorizationUrl"), "s-6");
    await change({ disabled: true });
    assert.equal((await who(answer)).status, 401);
    assert.equal((await finish(pending.textAt("draft"), brought)).status, 401);
    assert.equal((await begin()).status, 401);
    await change({ disabled: null });
    assert.equal((await who(answer)).status, 401);
    assert.equal((await signIn("s-6")).status, 201);
    assert.equal((await harness.ask(harness.admin, "DELETE", `${api}/identity-providers/corp`)).status, 409);
  });

  test("is arranged by a platform-admin alone, by https but on the machine itself, and its secret is shown to nobody", async () => {
    const keeper =
      "permit (principal, action, resource) when { resource is Skerry::IdentityProvider || resource is Skerry::User };";
    await harness.ask(harness.admin, "PUT", `${api}/roles/keeper`, { spec: { policies: keeper } });
    const kim = await harness.person("kim");
    const subjects = [{ kind: "User", name: "kim" }];
    await harness.ask(harness.admin, "PUT", `${api}/role-bindings/kim`, { spec: { role: "keeper", subjects } });
    const other = { issuer: "https://other.example", clientId: "x" };
    for (const attempt of [
      harness.ask(kim.token, "PUT", `${api}/identity-providers/mine`, { spec: other }),
      harness.ask(kim.token, "PATCH", `${api}/identity-providers/corp`, {
        spec: { createsUsers: true, clientId: "y" },
      }),
      harness.ask(kim.token, "DELETE", `${api}/identity-providers/corp`),
      harness.post(kim.token, "users/bob:link", { identityProvider: "corp", subject: "mine" }),
    ]) {
      const { status, text } = await attempt;
      assert.equal(status, 403, text);
    }
    for (const issuer of ["http://id.example", "http://10.0.0.1", "https://user:pass@id.example", "ftp://id.example"]) {
      const made = await harness.ask(harness.admin, "PUT", `${api}/identity-providers/odd`, {
        spec: { ...other, issuer },
      });
      assert.equal(made.status, 400, issuer);
    }
    const twin = await harness.ask(harness.admin, "PUT", `${api}/identity-providers/twin`, { spec });
    assert.equal(twin.status, 409);
    assert.equal((await change({ issuer: "https://other.example" })).status, 409);
    const { records } = await harness.store.audit.read({ limit: 1000 });
    const list = await harness.ask(harness.admin, "GET", `${api}/identity-providers`);
    const seen = [
      list.text,
      JSON.stringify(records),
      JSON.stringify(harness.logged),
      JSON.stringify(harness.store.list("IdentityProvider")),
    ];
    assert.ok(!seen.join("").includes(clientSecret));
    // Read and written back, it stays what it is.
    const { clientSecret: sealed } = harness.store.get("IdentityProvider", { name: "corp" })?.spec ?? {};
    await change({ clientSecret: "(sealed)" });
    assert.equal(harness.store.get("IdentityProvider", { name: "corp" })?.spec.clientSecret, sealed);
  });
});
