import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { sealedMark } from "@skerry/model";
import { openProviderKey } from "../../src/secrets/provider-key.ts";
import { plainIntents } from "./plain-intents.ts";
import { draft, specs, startApi, type ApiHarness } from "./api-harness.ts";

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

describe("what the API refuses before a route sees it", () => {
  let api: ApiHarness;
  before(async () => {
    const create = (): never => {
      throw new TypeError("secret detail of a defect");
    };
    api = await startApi(() => ({ intents: { ...plainIntents, Site: { ...plainIntents.Site, create } } }));
  });
  after(() => api[Symbol.asyncDispose]());

  const put = (body: string, headers: Record<string, string> = { "content-type": "application/json" }) =>
    api.ask(api.admin, "PUT", "/api/v1/organisations/acme", body, headers);

  test("bodies that are no JSON, too deep, too large, of another type or reach for prototypes", async () => {
    const cases: [string, Record<string, string> | undefined, number, string][] = [
      ["{", undefined, 400, "invalid-request"],
      ["", undefined, 400, "invalid-request"],
      ["null", undefined, 400, "invalid-request"],
      [`{"spec":${"[".repeat(5000)}${"]".repeat(5000)}}`, undefined, 400, "invalid-request"],
      ['{"spec":{"__proto__":{"polluted":true}}}', undefined, 400, "invalid-request"],
      [`{"spec":{"displayName":"${"x".repeat(1_100_000)}"}}`, undefined, 413, "too-large"],
      [`{"spec":{"labels":[${"0,".repeat(10_000)}0]}}`, undefined, 413, "too-large"],
      [`{"spec":{${Array.from({ length: 1001 }, (_, at) => `"f${at}":0`).join(",")}}}`, undefined, 413, "too-large"],
      [
        `{"spec":[${Array.from({ length: 60 }, () => `[${"0,".repeat(999)}0]`).join(",")}]}`,
        undefined,
        413,
        "too-large",
      ],
      ["<spec/>", { "content-type": "text/xml" }, 400, "invalid-request"],
      ['{"spec":{}}', { "content-type": "application/merge-patch+json" }, 400, "invalid-request"],
    ];
    // The kind's schema would refuse these too, so that the words tell who did.
    const words = await Promise.all([cases[3], cases[4]].map(async (one) => (await put(one?.[0] ?? "")).text));
    assert.match(words[0] ?? "", /nested deeper than 32 levels/);
    assert.match(words[1] ?? "", /a field named __proto__/);
    for (const [body, headers, status, code] of cases) {
      const answer = await put(body, headers);
      assert.deepEqual([answer.status, answer.at("code")], [status, code], `${body.slice(0, 60)}: ${answer.text}`);
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
      assert.ok(!answer.text.includes("    at "), "no stack trace");
    }
  });

  test("paths that are too long, and too many headers", async () => {
    const path = `/api/v1/organisations?labelSelector=${"a".repeat(8200)}`;
    const long = await api.ask(api.admin, "GET", path);
    assert.deepEqual([long.status, long.at("code")], [413, "too-large"]);
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`x-${at}`, "1"]));
    const many = await api.ask(api.admin, "GET", "/api/v1/organisations", undefined, headers);
    assert.deepEqual([many.status, many.at("code")], [413, "too-large"]);
    assert.match(many.textAt("detail"), /more than 100 headers/);
  });

  test("a defect answers internal without its message, and is logged with it", async () => {
    const answer = await api.ask(api.admin, "PUT", "/api/v1/sites/s1", { spec: specs.Site });
    assert.deepEqual([answer.status, answer.at("code")], [500, "internal"]);
    assert.ok(!answer.text.includes("secret detail"));
    const entry = api.logged.find((line) => (line as { code?: string }).code === "internal") as { error: Error };
    assert.match(entry.error.message, /secret detail of a defect/);
  });

  test("an image's content counts only where its token still holds once all of it is there", async () => {
    const content = Buffer.from("the whole content");
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    await using zone = await startApi(({ images, store }) => ({
      images: {
        ...images,
        async store(...args) {
          await images.store(...args);
          // Nobody holds a stream any more that the watch over tokens could end.
          const token = store.get("ApiToken", { name: "root" }) ?? assert.fail("no token");
          await store.transact((tx) => tx.delete("ApiToken", token.metadata.id));
        },
      },
    }));
    const path = "/api/v1/projects/ours/images/tiny";
    const spec = { ...specs.Image, digest, sizeBytes: content.length };
    await zone.store.transact((tx) => tx.put(draft("Project", { name: "ours" }, specs.Project, {})));
    assert.equal((await zone.ask(zone.admin, "PUT", path, { spec })).status, 201);
    const octets = { "content-type": "application/octet-stream" };
    assert.equal((await zone.ask(zone.admin, "PUT", `${path}/content`, content, octets)).status, 401);
    assert.equal(zone.store.get("Image", { project: "ours", name: "tiny" })?.status.state, "pending");
  });

  test("nothing that is logged holds a token", () => {
    assert.ok(api.logged.length > 0);
    assert.ok(!JSON.stringify(api.logged).includes("skt1."));
  });

  test("liveness says nothing but that the process lives", async () => {
    assert.equal((await api.ask(undefined, "GET", "/livez")).text, '{"status":"ok"}');
  });

  test("the OpenAPI document names every route, refers to nothing that is not there and repeats no operation id", async () => {
    const { text } = await api.ask(api.admin, "GET", "/api/v1/openapi.json");
    const document = JSON.parse(text) as OpenApi;
    assert.equal(document.openapi, "3.1.0");
    for (const route of api.api.routes) assert.ok(document.paths[route.path]?.[route.method.toLowerCase()], route.path);
    const schemas = document.components.schemas;
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g))
      assert.ok(name in schemas, name);
    const ids = [...text.matchAll(/"operationId":"([A-Za-z]+)"/g)].map((match) => match[1]);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.length >= api.api.routes.length);
  });

  test("whoami tells whose token it is", async () => {
    const token = await api.token("ci", "operator", "ours");
    assert.deepEqual(JSON.parse((await api.ask(token, "GET", "/api/v1/whoami")).text), {
      name: "ci",
      roles: [{ role: "operator", project: "ours" }],
    });
  });
});

describe("secrets", () => {
  let api: ApiHarness;
  const provider = "/api/v1/providers/p1";
  const ssh = (privateKey: string) => ({ ...specs.Provider, driver: "ssh", ssh: { user: "root", privateKey } });
  const stored = () => {
    const found = api.store.get("Provider", { name: "p1" });
    assert.ok(found);
    return found;
  };
  before(async () => {
    api = await startApi();
  });
  after(() => api[Symbol.asyncDispose]());

  test("a private key is stored sealed, read as a mark, and kept when the mark is sent back", async () => {
    const refused = await api.ask(api.admin, "PUT", provider, { spec: ssh(sealedMark) });
    assert.equal(refused.status, 400);

    const created = await api.ask(api.admin, "PUT", provider, { spec: ssh("KEY ONE") });
    assert.equal(created.at("resource.spec.ssh.privateKey"), sealedMark);
    assert.ok(!JSON.stringify(stored()).includes("KEY ONE"));
    assert.equal(openProviderKey(api.sealer, stored()), "KEY ONE");

    await api.ask(api.admin, "PATCH", provider, { spec: { ssh: { user: "skerry" } } });
    assert.equal(openProviderKey(api.sealer, stored()), "KEY ONE");
    const { revision } = api.store;
    await api.ask(api.admin, "PUT", provider, {
      spec: { ...ssh(sealedMark), ssh: { user: "skerry", privateKey: sealedMark } },
    });
    await api.ask(api.admin, "PATCH", provider, { spec: { ssh: { privateKey: "KEY ONE" } } });
    assert.equal(api.store.revision, revision, "the same key is no change");

    await api.ask(api.admin, "PATCH", provider, { spec: { ssh: { privateKey: "KEY TWO" } } });
    assert.equal(openProviderKey(api.sealer, stored()), "KEY TWO");
  });

  test("no read, list, plan, event or log shows a private key, sealed or open, nor a token's hash", async () => {
    const made = await api.ask(api.admin, "PUT", "/api/v1/api-tokens/t1", { spec: specs.ApiToken });
    assert.match(made.textAt("secret"), /^skt1\./);
    const seen = [
      await api.ask(api.admin, "GET", provider),
      await api.ask(api.admin, "GET", "/api/v1/providers"),
      await api.ask(api.admin, "GET", "/api/v1/providers?fields=spec.ssh.privateKey"),
      await api.ask(api.admin, "PATCH", `${provider}?dryRun=true`, {
        spec: { ssh: { privateKey: "KEY THREE" }, country: "FR" },
      }),
      await api.ask(api.admin, "PUT", "/api/v1/providers/p2?dryRun=true", { spec: ssh("KEY FOUR") }),
      await api.ask(api.admin, "GET", "/api/v1/api-tokens/t1"),
      await api.ask(api.admin, "GET", "/api/v1/api-tokens"),
      await api.ask(api.admin, "DELETE", "/api/v1/api-tokens/t1"),
    ].map((answer) => answer.text);
    for (const text of [...seen, JSON.stringify(api.logged)]) {
      assert.ok(!/KEY |sealed:1:|secretHash|skt1\./.test(text), text);
    }
  });

  test("a token's secret works once it is shown, and no more once the token is deleted or has expired", async () => {
    const made = await api.ask(api.admin, "PUT", "/api/v1/api-tokens/short", {
      spec: { role: "viewer", lifetimeSeconds: 60 },
    });
    assert.equal(made.headers["cache-control"], "no-store");
    const secret = made.textAt("secret");
    assert.equal((await api.ask(secret, "GET", "/api/v1/whoami")).status, 200);
    assert.equal((await api.ask(`${secret.slice(0, -1)}_`, "GET", "/api/v1/whoami")).status, 401);
    await api.ask(api.admin, "DELETE", "/api/v1/api-tokens/short");
    assert.equal((await api.ask(secret, "GET", "/api/v1/whoami")).status, 401);
  });

  test("a plan shows a token of one project nothing of other projects", async () => {
    const foreign = await api.token("theirs", "operator", "theirs");
    const plan = await api.ask(foreign, "PUT", "/api/v1/projects/theirs/instances/x?dryRun=true", {
      spec: specs.Instance,
    });
    assert.equal(plan.status, 404, "its project does not exist here");
    await api.ask(api.admin, "PUT", "/api/v1/projects/theirs", { spec: specs.Project });
    const seen = await api.ask(foreign, "PUT", "/api/v1/projects/theirs/instances/x?dryRun=true", {
      spec: specs.Instance,
    });
    assert.equal(seen.each("plan", "kind").length, 1);
  });
});
