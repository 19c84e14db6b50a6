import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { IdentityServer } from "@skerry/testkit";
import type { Answer } from "../api/api-harness.ts";
import { clientSecret, startOidcZone, type OidcZone } from "./oidc-zone.ts";
import type { SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";

/* Against the real oidc-provider, by its own pages. */
describe("signing in at an identity provider", { timeout: 120_000 }, () => {
  let zone: OidcZone;
  let harness: SignInHarness;
  let identity: IdentityServer;

  const device = async (): Promise<Answer> => {
    const begun = await harness.post(undefined, "sign-in/device/begin", { identityProvider: "corp" });
    assert.equal(begun.status, 200, begun.text);
    return begun;
  };
  const poll = (begun: Answer) => harness.post(undefined, "sign-in/device", { draft: begun.textAt("draft") });
  const who = (answer: Answer) => harness.ask(answer.textAt("token"), "GET", `${api}/whoami`);

  before(async () => {
    zone = await startOidcZone();
    ({ harness, identity } = zone);
  });
  after(() => zone[Symbol.asyncDispose]());

  test("by a browser that comes back makes a user at the first time, and a session as any other", async () => {
    identity.people.set("s-1", {
      preferred_username: "Ana.García",
      name: "Ana García",
      email: "ana@example.org",
      email_verified: true,
    });
    const answer = await zone.signIn("s-1");
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
    assert.equal((await zone.signIn("s-1")).textAt("user"), "ana-garcia");
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
    const [one, two] = [await zone.begin(), await zone.begin()];
    const answer = await identity.visit(one.textAt("authorizationUrl"), "s-3");
    // Another's draft: neither its state nor its verifier fits.
    assert.equal((await zone.finish(two.textAt("draft"), answer)).status, 401);
    const forged = new URLSearchParams(answer);
    forged.set("state", two.textAt("state"));
    const three = await zone.begin();
    forged.set("state", three.textAt("state"));
    assert.equal((await zone.finish(three.textAt("draft"), forged.toString())).status, 401);
    const four = await zone.begin();
    const mixed = new URLSearchParams(await identity.visit(four.textAt("authorizationUrl"), "s-3"));
    assert.equal(mixed.get("iss"), identity.issuer);
    mixed.set("iss", "https://evil.example");
    assert.equal((await zone.finish(four.textAt("draft"), mixed.toString())).status, 401);
    assert.equal((await zone.finish("sealed:1:AAAA", answer)).status, 401);
    const fresh = await zone.begin();
    const right = await identity.visit(fresh.textAt("authorizationUrl"), "s-3");
    assert.equal((await zone.finish(fresh.textAt("draft"), right)).status, 201);
    assert.equal((await zone.finish(fresh.textAt("draft"), right)).status, 401);
    const late = await zone.begin();
    const lateAnswer = await identity.visit(late.textAt("authorizationUrl"), "s-3");
    harness.pass(600_000);
    assert.equal((await zone.finish(late.textAt("draft"), lateAnswer)).status, 401);
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
    assert.equal((await zone.finish((await device()).textAt("draft"), answer)).status, 401);
  });

  test("knows a person by issuer and subject alone, whatever they are called there by now", async () => {
    await harness.ask(harness.admin, "PUT", `${api}/users/root-user`, { spec: { email: "root@example.org" } });
    identity.people.set("s-4", { preferred_username: "root-user", email: "root@example.org", email_verified: true });
    const answer = await zone.signIn("s-4");
    assert.equal(answer.status, 201, answer.text);
    const name = answer.textAt("user");
    assert.match(name, /^root-user-[0-9a-f]{16}$/);
    assert.equal(harness.store.get("User", { name: "root-user" })?.status.identity, undefined);
    identity.people.set("s-4", { preferred_username: "somebody-else" });
    assert.equal((await zone.signIn("s-4")).textAt("user"), name);
    identity.people.set("s-5", { preferred_username: "somebody-else" });
    assert.equal((await zone.signIn("s-5")).textAt("user"), "somebody-else");
  });

  test("gives and takes the groups that it may, and no others", async () => {
    await harness.ask(harness.admin, "PATCH", `${api}/groups/bosses`, { spec: { members: ["bob"] } });
    identity.people.set("s-2", { preferred_username: "bob", groups: ["team-builders", "bosses", "other"] });
    await zone.signIn("s-2");
    assert.deepEqual([zone.membersOf("builders"), zone.membersOf("bosses")], [["bob"], ["bob"]]);
    identity.people.set("s-2", { preferred_username: "bob", groups: [] });
    await zone.signIn("s-2");
    assert.deepEqual([zone.membersOf("builders"), zone.membersOf("bosses")], [[], ["bob"]]);
    identity.people.set("s-1", { groups: "bosses" });
    await zone.signIn("s-1");
    assert.deepEqual(zone.membersOf("bosses"), ["bob"]);
    assert.equal((await harness.ask(harness.admin, "DELETE", `${api}/groups/builders`)).status, 409);
  });

  test("lets in whom the provider's rules admit, and nobody who is disabled or not linked", async () => {
    identity.people.set("s-6", { preferred_username: "dan", groups: ["staff"] });
    await zone.change({ admits: { claim: "groups", values: ["staff"] } });
    assert.equal((await zone.signIn("s-5")).status, 403);
    assert.equal((await zone.signIn("s-6")).status, 201);
    await zone.change({ admits: null, createsUsers: false });
    identity.people.set("s-7", { preferred_username: "fay" });
    const refused = await zone.signIn("s-7");
    assert.equal(refused.status, 403);
    assert.match(refused.text, /skerry user link NAME --identity-provider corp --subject s-7/);
    await harness.ask(harness.admin, "PUT", `${api}/users/fay-here`, { spec: {} });
    const link = { identityProvider: "corp", subject: "s-7" };
    assert.equal((await harness.post(harness.admin, "users/fay-here:link", link)).status, 200);
    assert.equal((await harness.post(harness.admin, "users/bob:link", link)).status, 409);
    assert.equal((await zone.signIn("s-7")).textAt("user"), "fay-here");
    await harness.ask(harness.admin, "PATCH", `${api}/users/fay-here`, { spec: { disabled: true } });
    assert.equal((await zone.signIn("s-7")).status, 403);
    await zone.change({ createsUsers: true });
  });

  test("goes on when the provider signs by other keys, and ends with the provider", async () => {
    // So that none of the sign-ins to come is one too many.
    harness.pass(600_000);
    assert.equal((await zone.signIn("s-6")).status, 201);
    await identity.rotateKeys();
    // A key that is not known is looked for, no more often than once a second.
    let answer = await zone.signIn("s-6");
    for (const deadline = Date.now() + 10_000; answer.status !== 201 && Date.now() < deadline;) {
      await setTimeout(200);
      answer = await zone.signIn("s-6");
    }
    assert.equal(answer.status, 201, answer.text);
    harness.pass(600_000);
    const pending = await zone.begin();
    const brought = await identity.visit(pending.textAt("authorizationUrl"), "s-6");
    await zone.change({ disabled: true });
    assert.equal((await who(answer)).status, 401);
    assert.equal((await zone.finish(pending.textAt("draft"), brought)).status, 401);
    assert.equal((await zone.begin()).status, 401);
    await zone.change({ disabled: null });
    assert.equal((await who(answer)).status, 401);
    assert.equal((await zone.signIn("s-6")).status, 201);
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
    const twin = await harness.ask(harness.admin, "PUT", `${api}/identity-providers/twin`, { spec: zone.spec });
    assert.equal(twin.status, 409);
    assert.equal((await zone.change({ issuer: "https://other.example" })).status, 409);
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
    await zone.change({ clientSecret: "(sealed)" });
    assert.equal(harness.store.get("IdentityProvider", { name: "corp" })?.spec.clientSecret, sealed);
  });
});
