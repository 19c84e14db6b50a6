import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SignJWT, UnsecuredJWT, createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair } from "jose";
import { openAuthority } from "../../src/pki/authority.ts";
import { verifyIdToken } from "../../src/sign-in/oidc/id-token.ts";
import type { Answer } from "../api/api-harness.ts";
import { accessToken, startHostileIssuer, type HostileIssuer, type Lies } from "./hostile-issuer.ts";
import { startSignIn, type SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";
const redirectUri = "http://127.0.0.1:8400/callback";

describe("an identity provider that is not what it should be", { timeout: 120_000 }, () => {
  let harness: SignInHarness;
  let hostile: HostileIssuer;
  before(async () => {
    harness = await startSignIn();
    hostile = await startHostileIssuer();
    const spec = { issuer: hostile.issuer, clientId: "skerry", createsUsers: true };
    assert.equal((await harness.ask(harness.admin, "PUT", `${api}/identity-providers/odd`, { spec })).status, 201);
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await hostile[Symbol.asyncDispose]();
  });
  const begin = (name = "odd") =>
    harness.post(undefined, "sign-in/browser/begin", { identityProvider: name, redirectUri });
  const signIn = async (lies: Lies, issuer = hostile, name = "odd"): Promise<Answer> => {
    issuer.lies = lies;
    const begun = await begin(name);
    assert.equal(begun.status, 200, begun.text);
    const answer = issuer.visit(begun.textAt("authorizationUrl"));
    return harness.post(undefined, "sign-in/browser", { draft: begun.textAt("draft"), answer });
  };
  /** Described anew at the next use: what is known of it goes with each change. */
  const forget = () =>
    harness.ask(harness.admin, "PATCH", `${api}/identity-providers/odd`, { spec: { displayName: `${Math.random()}` } });

  test("proves nobody by a token for another, by another, of another time, unsigned, or signed by what anybody knows", async () => {
    assert.equal((await signIn({})).status, 201);
    const { privateKey: foreign } = await generateKeyPair("RS256");
    const hour = 3600;
    const lies: Record<string, Lies> = {
      issuer: { claims: (claims) => ({ ...claims, iss: "https://id.example" }) },
      audience: { claims: (claims) => ({ ...claims, aud: "another" }) },
      "authorised party": { claims: (claims) => ({ ...claims, aud: ["skerry", "another"], azp: "another" }) },
      "several audiences": { claims: (claims) => ({ ...claims, aud: ["skerry", "another"] }) },
      expired: { claims: (claims) => ({ ...claims, iat: (claims.iat ?? 0) - hour, exp: (claims.exp ?? 0) - hour }) },
      old: { claims: (claims) => ({ ...claims, iat: (claims.iat ?? 0) - hour }) },
      "not yet": { claims: (claims) => ({ ...claims, nbf: (claims.iat ?? 0) + hour }) },
      "no expiry": { claims: ({ exp: _none, ...claims }) => claims },
      "no subject": { claims: ({ sub: _none, ...claims }) => claims },
      nonce: { claims: (claims) => ({ ...claims, nonce: "another" }) },
      "no nonce": { claims: ({ nonce: _none, ...claims }) => claims },
      "another access token": { claims: (claims) => ({ ...claims, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }) },
      "alg none": { token: (token) => new UnsecuredJWT(decodeJwt(token)).encode() },
      "no signature": { token: (token) => `${token.split(".").slice(0, 2).join(".")}.` },
      "another key": {
        token: (token) => new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: "RS256", kid: "one" }).sign(foreign),
      },
      "a secret that is public": {
        token: (token) =>
          new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from("skerry".repeat(8))),
      },
      nonsense: { token: () => "nonsense" },
    };
    const { length } = harness.store.list("ApiToken");
    for (const [what, lie] of Object.entries(lies)) {
      const answer = await signIn(lie);
      assert.ok(answer.status === 401 || answer.status === 503, `${what}: ${answer.status} ${answer.text}`);
    }
    assert.equal(harness.store.list("ApiToken").length, length);
    // One of an earlier sign-in is none of this.
    let earlier = "";
    assert.equal((await signIn({ token: (token) => (earlier = token) })).status, 201);
    assert.equal((await signIn({ token: () => earlier })).status, 401);
    assert.ok(!JSON.stringify(harness.logged).includes(earlier.split(".")[2] ?? earlier));
  });

  test("signs nobody in twice by what was begun once, though it would take its code again, nor after a try that failed", async () => {
    hostile.lies = {};
    const begun = await begin();
    const answer = hostile.visit(begun.textAt("authorizationUrl"));
    const body = { draft: begun.textAt("draft"), answer };
    const both = await Promise.all([1, 2].map(() => harness.post(undefined, "sign-in/browser", body)));
    assert.equal(both.filter(({ status }) => status === 201).length, 1);
    assert.equal((await harness.post(undefined, "sign-in/browser", body)).status, 401);
    const spoilt = await begin();
    const right = hostile.visit(spoilt.textAt("authorizationUrl"));
    const [draft, wrong] = [spoilt.textAt("draft"), `${right}x`];
    assert.equal((await harness.post(undefined, "sign-in/browser", { draft, answer: wrong })).status, 401);
    assert.equal((await harness.post(undefined, "sign-in/browser", { draft, answer: right })).status, 401);
    harness.pass(600_000);
  });

  test("is told as such where it does not answer, hangs, or describes itself as another, with what to do", async () => {
    const descriptions: Record<string, Lies> = {
      hangs: { answer: () => true },
      fails: { answer: (_path, _request, response) => (response.writeHead(500).end("<html>"), true) },
      "is another": { description: (honest) => ({ ...honest, issuer: "https://id.example" }) },
      "has keys elsewhere": { description: (honest) => ({ ...honest, jwks_uri: undefined }) },
      redirects: {
        answer: (_path, _request, response) => (
          response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
          true
        ),
      },
      "is endless": {
        answer: (_path, _request, response) => {
          response
            .writeHead(200, { "content-type": "application/json" })
            .end(`{"issuer":"${"x".repeat(1024 * 1024)}"}`);
          return true;
        },
      },
    };
    for (const [what, lie] of Object.entries(descriptions)) {
      await forget();
      hostile.lies = lie;
      const from = performance.now();
      const answer = await begin();
      assert.equal(answer.status, 503, `${what}: ${answer.text}`);
      assert.ok(answer.textAt("remedy").length > 20 && answer.textAt("detail").includes("odd"), answer.text);
      assert.ok(performance.now() - from < 5000, what);
    }
    for (const path of ["/token", "/keys"]) {
      await forget();
      const answer = await signIn({ answer: (asked) => asked === path });
      assert.equal(answer.status, 503, `${path}: ${answer.text}`);
    }
    hostile.lies = {};
    await forget();
    assert.equal((await signIn({})).status, 201);
  });

  test("is held to the time of the server's clock, whatever its machine's says", async () => {
    const hour = 3_600_000;
    harness.skew(hour);
    assert.equal((await signIn({})).status, 401);
    const later: Lies = {
      claims: (claims) => ({ ...claims, iat: (claims.iat ?? 0) + 3600, exp: (claims.exp ?? 0) + 3600 }),
    };
    assert.equal((await signIn(later)).status, 201);
    harness.skew(0);
    assert.equal((await signIn(later)).status, 401);
    assert.equal((await signIn({})).status, 201);
  });

  test("holds up no server that stops, and is asked nothing more by it", async () => {
    const stop = new AbortController();
    await using stopping = await startSignIn(undefined, { issuerTimeoutMs: 600_000, stopping: stop.signal });
    const spec = { issuer: hostile.issuer, clientId: "skerry" };
    await stopping.ask(stopping.admin, "PUT", `${api}/identity-providers/odd`, { spec });
    const reached = Promise.withResolvers<undefined>();
    hostile.lies = { answer: () => (reached.resolve(undefined), true) };
    const asked = stopping.post(undefined, "sign-in/browser/begin", { identityProvider: "odd", redirectUri });
    await reached.promise;
    stop.abort(new Error("it stops"));
    const answer = await asked;
    assert.deepEqual([answer.status, answer.at("code")], [503, "unavailable"]);
    assert.match(answer.textAt("detail"), /server stops/);
    const asking = { identityProvider: "odd", redirectUri };
    await stopping.ask(stopping.admin, "PATCH", `${api}/identity-providers/odd`, { spec: { displayName: "anew" } });
    hostile.paths.length = 0;
    assert.equal((await stopping.post(undefined, "sign-in/browser/begin", asking)).status, 503);
    assert.deepEqual(hostile.paths, []);
    hostile.lies = {};
  });

  test("is not asked again and again by whoever begins and begins", async () => {
    await forget();
    hostile.lies = {};
    hostile.paths.length = 0;
    const answers = await Promise.all(Array.from({ length: 50 }, () => begin()));
    assert.ok(answers.some(({ status }) => status === 429) && answers.some(({ status }) => status === 200));
    assert.deepEqual(hostile.paths, ["/.well-known/openid-configuration"]);
    harness.pass(600_000);
  });

  test("can't send the server to other services by what it says of itself", async () => {
    const asked: string[] = [];
    const inner = createServer((request, response) => (asked.push(request.url ?? ""), response.end("{}")));
    await new Promise<void>((resolve) => inner.listen(0, "127.0.0.1", resolve));
    const folder = await mkdtemp(join(tmpdir(), "skerry-issuer-"));
    try {
      const authority = await openAuthority(join(folder, "pki"), () => Date.now());
      await using secure = await startHostileIssuer(await authority.serverPair(["127.0.0.1"]));
      const spec = { issuer: secure.issuer, clientId: "skerry", createsUsers: true };
      const put = (more: object) =>
        harness.ask(harness.admin, "PUT", `${api}/identity-providers/secure`, { spec: { ...spec, ...more } });
      assert.equal((await put({})).status, 201);
      const untrusted = await begin("secure");
      assert.equal(untrusted.status, 503);
      assert.match(untrusted.textAt("detail"), /certificate that is not trusted/);
      assert.equal((await put({ authority: "nothing" })).status, 400);
      assert.equal((await put({ authority: authority.certificate })).status, 200);
      assert.equal((await signIn({}, secure, "secure")).status, 201);
      const { port } = inner.address() as { port: number };
      const local = `http://127.0.0.1:${port}/inner`;
      for (const endpoint of [
        "token_endpoint",
        "jwks_uri",
        "device_authorization_endpoint",
        "authorization_endpoint",
      ]) {
        const displayName = `${endpoint} elsewhere`;
        assert.equal((await put({ authority: authority.certificate, displayName })).status, 200);
        secure.lies = { description: (honest) => ({ ...honest, [endpoint]: local }) };
        const answer = await begin("secure");
        assert.equal(answer.status, 503, `${endpoint}: ${answer.text}`);
      }
      assert.deepEqual(asked, []);
    } finally {
      inner.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe("an ID token", () => {
  test("is verified by itself: each claim, its signature and its algorithm", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), alg: "ES256" }] });
    const nowMs = Date.now();
    const now = Math.floor(nowMs / 1000);
    const honest = { iss: "https://id.example", aud: "skerry", sub: "s-1", nonce: "n", iat: now, exp: now + 60 };
    const expected = { issuer: "https://id.example", clientId: "skerry", nonce: "n", accessToken, nowMs };
    const sign = (claims: object, header = { alg: "ES256" }) =>
      new SignJWT({ ...claims }).setProtectedHeader(header).sign(privateKey);
    const verify = async (claims: object) => verifyIdToken(await sign(claims), keys, expected);
    assert.equal((await verify(honest)).sub, "s-1");
    assert.equal((await verify({ ...honest, aud: ["skerry", "x"], azp: "skerry" })).sub, "s-1");
    for (const wrong of [
      { ...honest, iss: "https://id.example/" },
      { ...honest, aud: "other" },
      { ...honest, aud: ["skerry", "other"] },
      { ...honest, azp: "other" },
      { ...honest, exp: now - 60 },
      { ...honest, iat: now - 3600 },
      { ...honest, iat: now + 3600, exp: now + 7200 },
      { ...honest, nbf: now + 3600 },
      { ...honest, nonce: "m" },
      { ...honest, nonce: undefined },
      { ...honest, sub: "" },
      { ...honest, sub: "s".repeat(256) },
      { ...honest, sub: undefined },
      { ...honest, exp: undefined },
      { ...honest, iat: undefined },
      { ...honest, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" },
    ])
      await assert.rejects(verify(wrong), JSON.stringify(wrong));
    await assert.rejects(verifyIdToken(new UnsecuredJWT(honest).encode(), keys, expected));
    const shared = Buffer.from("a secret that client and issuer share");
    const symmetric = await new SignJWT(honest).setProtectedHeader({ alg: "HS256" }).sign(shared);
    await assert.rejects(verifyIdToken(symmetric, () => Promise.resolve(shared as never), expected));
    await assert.rejects(verifyIdToken(await sign({ ...honest, nonce: "n" }), keys, { ...expected, nonce: undefined }));
  });
});
