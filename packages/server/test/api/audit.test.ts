import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { kinds, kindNames } from "@skerry/model";
import { specs, startApi, type Answer, type ApiHarness } from "./api-harness.ts";

interface Told {
  readonly seq: number;
  readonly actor: { readonly kind: string; readonly name: string; readonly tokenId: string };
  readonly from: string;
  readonly forwardedFor?: string;
  readonly cause: string;
  readonly why?: string;
  readonly changes: readonly { readonly type: string; readonly kind: string; readonly name: string }[];
}

describe("the audit log of the API", () => {
  let api: ApiHarness;
  before(async () => {
    api = await startApi();
    for (const [path, spec] of [
      ["/api/v1/organisations/acme", specs.Organisation],
      ["/api/v1/projects/web", specs.Project],
    ] as const)
      assert.equal((await api.ask(api.admin, "PUT", path, { spec })).status, 201);
  });
  after(() => api[Symbol.asyncDispose]());

  const page = (query = ""): Promise<Answer> => api.ask(api.admin, "GET", `/api/v1/audit${query}`);
  const told = async (query = ""): Promise<readonly Told[]> =>
    ((await page(query)).at("items") as readonly { readonly record: string }[]).map(
      ({ record }) => JSON.parse(record) as Told,
    );
  const newest = async (): Promise<Told> => {
    const [record] = await told("?limit=1");
    assert.ok(record !== undefined);
    return record;
  };
  const network = "/api/v1/projects/web/networks";

  test("tells of each mutation who, from where, by what request and why, and of no dry run, refusal or repetition", async () => {
    const operator = await api.token("olga", "operator");
    const why = { "x-skerry-reason": Buffer.from(" année “neuve” ", "utf8").toString("latin1") };
    const body = { spec: specs.Network };
    const first = (await newest()).seq;
    assert.equal((await api.ask(operator, "PUT", `${network}/lan`, body, why)).status, 201);
    const { seq, actor, from, cause, why: reason, changes } = await newest();
    assert.equal(seq, first + 1);
    assert.deepEqual([actor.name, from, cause, reason], ["olga", "127.0.0.1", `PUT ${network}/lan`, "année “neuve”"]);
    assert.match(actor.tokenId, /^atk_/);
    assert.deepEqual(changes.map(({ type, kind, name }) => [type, kind, name])[0], ["created", "Network", "lan"]);
    for (const [method, path, sent, headers] of [
      ["PUT", `${network}/lan`, body, why],
      ["PUT", `${network}/wan?dryRun=true`, body, why],
      ["PUT", `${network}/lan`, { spec: { cidr: "x" } }, {}],
      ["PUT", `${network}/lan`, { spec: { cidr: "10.2.0.0/24" } }, { "if-match": '"1"' }],
      ["DELETE", `${network}/none`, undefined, {}],
    ] as const)
      await api.ask(operator, method, path, sent, headers);
    assert.equal((await newest()).seq, seq);
    assert.equal(actor.kind, "ApiToken");
    const patch = { metadata: { labels: { a: "b" } } };
    const key = { "idempotency-key": "k-1" };
    for (let turn = 0; turn < 2; turn++)
      assert.equal((await api.ask(operator, "PATCH", `${network}/lan`, patch, key)).status, 200);
    assert.equal((await newest()).seq, seq + 1);
    assert.equal((await newest()).why, undefined);
    await api.ask(operator, "DELETE", `${network}/lan`, undefined, { "x-skerry-forwarded": "192.0.2.9" });
    const deleted = await newest();
    assert.deepEqual([deleted.seq, deleted.forwardedFor, deleted.from], [seq + 2, "192.0.2.9", "127.0.0.1"]);
  });

  test("refuses a reason that is no line of text, before anything is changed", async () => {
    const { seq } = await newest();
    for (const reason of ["x".repeat(501), "\u00ff\u00fe", "a\u0009b", "\u00e2\u0080\u00ae", "\u00e2\u0080\u00a8x"]) {
      for (const query of ["", "?dryRun=true"]) {
        const answer = await api.ask(
          api.admin,
          "PUT",
          `${network}/never${query}`,
          { spec: specs.Network },
          {
            "x-skerry-reason": reason,
          },
        );
        assert.deepEqual([answer.status, answer.at("code")], [400, "invalid-request"], JSON.stringify(reason));
        assert.match(answer.textAt("detail"), /X-Skerry-Reason/);
      }
    }
    assert.equal((await newest()).seq, seq);
    const blank = await api.ask(
      api.admin,
      "PUT",
      `${network}/blank`,
      { spec: specs.Network },
      { "x-skerry-reason": " " },
    );
    assert.equal(blank.status, 201);
    assert.equal((await newest()).why, undefined);
  });

  test("says nothing of secrets, whatever was made, changed or deleted", async () => {
    const { seq } = await newest();
    const ssh = { user: "root", privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END" };
    const secretive = [
      ["/api/v1/api-tokens/robot", { role: "viewer" }, "ApiToken"],
      ["/api/v1/join-tokens/j1", specs.JoinToken, "JoinToken"],
      ["/api/v1/providers/metal", { driver: "ssh", country: "ES", ssh }, "Provider"],
    ] as const;
    const kept: string[] = [];
    for (const [path, spec, kind] of secretive) {
      assert.equal((await api.ask(api.admin, "PUT", path, { spec })).status, 201, path);
      const stored = api.store.get(kind, { name: path.split("/").at(-1) ?? "" });
      assert.ok(stored !== undefined);
      if (stored.kind === "Provider") kept.push(stored.spec.ssh?.privateKey ?? "none");
      else kept.push(stored.status.secretHash ?? "");
      await api.ask(api.admin, "PATCH", path, { metadata: { labels: { a: "b" } } });
      await api.ask(api.admin, "DELETE", path);
    }
    const { text } = await page(`?after=${seq}&limit=100`);
    assert.equal((JSON.parse(text) as { items: unknown[] }).items.length, 9);
    const secrets = [...kept, "c2VjcmV0", ...kept.map((secret) => secret.slice(4, 30))].filter((one) => one !== "");
    assert.ok(secrets.length >= 3, String(kept));
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} is in the log`);
    assert.ok(text.includes("(sealed)"));
  });

  test("is paged and filtered, tells what its pages are chained to, and refuses a place that it has not come to", async () => {
    const all = await page("?after=0&limit=500");
    const count = (all.at("items") as readonly unknown[]).length;
    assert.equal(all.at("head.seq"), count);
    assert.equal(all.at("next"), undefined);
    const second = await page("?after=1&limit=2");
    assert.deepEqual([second.at("start.seq"), second.at("start.hash")], [1, all.at("items.0.hash")]);
    assert.deepEqual([second.at("next"), second.each("items", "seq")], [3, [2, 3]]);
    assert.equal(second.at("zoneId"), api.store.zoneId);
    assert.ok((await told("?after=0&actor=olga")).every(({ actor }) => actor.name === "olga"));
    assert.ok((await told("?after=0&kind=Provider")).length >= 3);
    assert.equal((await told("?after=0&project=none")).length, 0);
    assert.equal((await told(`?after=0&since=${new Date(Date.now() + 60_000).toISOString()}`)).length, 0);
    for (const query of ["?after=-1", "?limit=0", "?limit=1000", "?kind=Nothing", "?since=today", "?actor=%25", "?x=1"])
      assert.equal((await page(query)).status, 400, query);
    const ahead = await page(`?after=${count + 1}`);
    assert.deepEqual([ahead.status, ahead.at("facts.seq")], [400, count]);
  });

  test("names the user or the service account that a token is of", async () => {
    const create = async (path: string, spec: object): Promise<Answer> => {
      const answer = await api.ask(api.admin, "PUT", `/api/v1/${path}`, { spec });
      assert.equal(answer.status, 201, answer.text);
      return answer;
    };
    await create("users/uma", {});
    await create("projects/web/service-accounts/robot", {});
    for (const [owner, actor] of [
      [{ kind: "User", name: "uma" }, "uma"],
      [{ kind: "ServiceAccount", name: "robot", project: "web" }, "web/robot"],
    ] as const) {
      const name = `of-${owner.name}`;
      const subjects = [owner];
      await create(`role-bindings/${name}`, { role: "admin", subjects });
      const secret = (await create(`api-tokens/${name}`, { owner })).textAt("secret");
      const made = await api.ask(secret, "PUT", `${network}/${owner.name}`, { spec: specs.Network });
      assert.equal(made.status, 201, made.text);
      const [record, ...more] = await told(`?actor=${actor}`);
      assert.deepEqual(more, []);
      assert.deepEqual([record?.actor.kind, record?.actor.name], [owner.kind, actor]);
    }
  });

  test("is for the zone's admins alone", async () => {
    for (const [name, role, project, status] of [
      ["v", "viewer", undefined, 403],
      ["o", "operator", undefined, 403],
      ["a", "admin", "web", 403],
    ] as const)
      assert.equal((await api.ask(await api.token(name, role, project), "GET", "/api/v1/audit")).status, status, name);
  });

  test("every mutation takes a reason, and says so in the document", async () => {
    const document = (await api.ask(api.admin, "GET", "/api/v1/openapi.json")).at("paths") as Readonly<
      Record<string, Readonly<Record<string, { readonly parameters?: readonly { readonly name: string }[] }>>>
    >;
    let seen = 0;
    for (const [path, methods] of Object.entries(document))
      for (const [method, { parameters }] of Object.entries(methods)) {
        const isMutation = method !== "get" && kindNames.some((kind) => path.includes(`/${kinds[kind].plural}/`));
        if (!isMutation) continue;
        seen += 1;
        assert.ok(
          parameters?.some(({ name }) => name === "X-Skerry-Reason"),
          `${method} ${path}`,
        );
      }
    assert.ok(seen > 35);
  });
});
