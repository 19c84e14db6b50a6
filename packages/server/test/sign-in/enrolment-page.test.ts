import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { codeAt, password, startSignIn, type SignInHarness } from "./sign-in-harness.ts";

const host = "127.0.0.1:7440";
const own = { host, origin: `https://${host}`, "sec-fetch-site": "same-origin" };

interface Shown {
  readonly html: string;
  readonly cookie: string;
  readonly draft: string;
  readonly secret: string;
}

describe("the page of a one-time link", { timeout: 60_000 }, () => {
  let harness: SignInHarness;
  before(async () => {
    harness = await startSignIn();
  });
  after(() => harness[Symbol.asyncDispose]());

  const open = async (code: string, headers = {}): Promise<LightMyRequestResponse> =>
    harness.api.app.inject({
      method: "GET",
      url: `/enrol?code=${encodeURIComponent(code)}`,
      headers: { host, ...headers },
    });
  const show = async (code: string): Promise<Shown> => {
    const page = await open(code);
    assert.equal(page.statusCode, 200, page.body);
    const [, draft = ""] = /name="draft" value="([^"]+)"/.exec(page.body) ?? [];
    const [, groups = ""] = /<code>([A-Z2-7 ]+)<\/code>/.exec(page.body) ?? [];
    const cookie = String(page.headers["set-cookie"]);
    return { html: page.body, cookie: cookie.split(";")[0] ?? "", draft, secret: groups.replaceAll(" ", "") };
  };
  const send = (fields: Record<string, string>, headers: Record<string, string>): Promise<LightMyRequestResponse> =>
    harness.api.app.inject({
      method: "POST",
      url: "/enrol",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      payload: new URLSearchParams(fields).toString(),
    });

  test("has no script, loads nothing, is framed by nobody and kept by nothing, and its cookie is for the server alone", async () => {
    const code = await harness.firstCode();
    const page = await open(code);
    const { headers, body } = page;
    const policy = String(headers["content-security-policy"]);
    assert.match(
      policy,
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    const [, style = ""] = /<style>(.*?)<\/style>/s.exec(body) ?? [];
    assert.ok(policy.includes(createHash("sha256").update(style).digest("base64")));
    assert.ok(!/<script|javascript:|\son\w+=|style=|src=|https?:\/\/(?!www\.w3\.org)/i.test(body));
    assert.match(body, /<svg[^>]*viewBox/);
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["x-frame-options"], "DENY");
    assert.match(
      String(headers["set-cookie"]),
      /^__Host-skerry-enrol=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    assert.equal(headers["access-control-allow-origin"], undefined);
  });

  test("takes its form from the browser that was shown it and from its own origin alone, once", async () => {
    const code = await harness.firstCode();
    const { cookie, draft, secret } = await show(code);
    const other = await show(code);
    const fields = { code, draft, name: "ana", password, again: password, totp: codeAt(secret, harness.nowMs()) };
    const foreign: readonly Record<string, string>[] = [
      { ...own },
      { ...own, cookie: other.cookie },
      { ...own, cookie: `${cookie}x` },
      { ...own, cookie, origin: "https://evil.example" },
      { ...own, cookie, origin: "null" },
      { ...own, cookie, "sec-fetch-site": "cross-site" },
      { ...own, cookie, "sec-fetch-site": "same-site" },
      { host, cookie },
    ];
    for (const headers of foreign) {
      const refused = await send(fields, headers);
      assert.ok(
        refused.statusCode === 403 || refused.statusCode === 401,
        `${JSON.stringify(headers)}: ${refused.body}`,
      );
      assert.equal(harness.store.list("User").length, 0);
    }
    const json = await harness.ask(undefined, "POST", "/enrol", fields, { ...own, cookie });
    assert.equal(json.status, 400);

    const differing = await send({ ...fields, again: "another one entirely", name: '"><i>' }, { ...own, cookie });
    assert.match(differing.body, /The two passwords differ/);
    assert.ok(differing.body.includes("&quot;&gt;&lt;i&gt;") && !differing.body.includes("<i>"));
    assert.ok(differing.body.includes(draft) && !differing.body.includes(password));

    const done = await send(fields, { ...own, cookie });
    assert.equal(done.statusCode, 200, done.body);
    const codes = [...done.body.matchAll(/<li><code>([a-z2-7-]{19})<\/code>/g)].map(([, recovery]) => recovery);
    assert.equal(codes.length, 10);
    assert.ok(done.headers["content-security-policy"] !== undefined);
    const ana = { name: "ana", secret, recoveryCodes: [], token: "" };
    const signedIn = await harness.signIn(ana);
    assert.equal(signedIn.status, 201, signedIn.text);
    const who = await harness.ask(signedIn.textAt("token"), "GET", "/api/v1/whoami");
    assert.equal(who.at("roles.0.role"), "platform-admin");
    for (const page of [await send(fields, { ...own, cookie }), await open(code)]) {
      assert.equal(page.statusCode, 401);
      assert.match(page.body, /The link is not valid/);
    }
  });

  test("is of an invited user alone, whose name nobody chooses, and tells nothing of a wrong link", async () => {
    await harness.ask(harness.admin, "PUT", "/api/v1/users/bea", { spec: {} });
    const code = (await harness.post(harness.admin, "users/bea:invite")).textAt("secret");
    const { html, cookie, draft, secret } = await show(code);
    assert.ok(html.includes("<b>bea</b>") && !html.includes('name="name"'));
    const fields = { code, draft, name: "root", password, again: password, totp: codeAt(secret, harness.nowMs()) };
    assert.equal((await send(fields, { ...own, cookie })).statusCode, 200);
    assert.equal(harness.store.get("User", { name: "root" }), undefined);
    assert.ok(harness.store.get("User", { name: "bea" })?.status.credentials?.password !== undefined);
    for (const wrong of [
      "",
      "x",
      `ski1.first.${"a".repeat(43)}`,
      `ski1.usr_${"0".repeat(26)}.${"a".repeat(43)}`,
      "<script>",
    ]) {
      const page = await open(wrong);
      assert.equal(page.statusCode, 401);
      assert.match(String(page.headers["content-type"]), /^text\/html/);
      assert.ok(!page.body.includes("<script>") && page.headers["content-security-policy"] !== undefined);
    }
  });

  test("leaves no link in the log, and no file once it was used", async () => {
    await assert.rejects(harness.firstCode(), /ENOENT/);
    await open("ski1.first.wrong");
    assert.ok(!JSON.stringify(harness.logged).includes("ski1."));
  });
});
