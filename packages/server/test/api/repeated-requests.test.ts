import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { RequestMark } from "@skerry/model";
import { buildApi, type Api } from "../../src/api/app.ts";
import { RecordedRequests } from "../../src/api/recorded-requests.ts";
import { specs, startApi, type ApiHarness, type BaseDeps } from "./api-harness.ts";

/* A second API over the same store, which remembers no answers: as after a restart, and as the next leader. */
describe("a request that is asked for again after a restart", () => {
  const key = { "idempotency-key": "0b5b6f-once" };
  const organisations = "/api/v1/organisations";
  const instances = "/api/v1/projects/shop/instances";
  let harness: ApiHarness;
  let base: BaseDeps;
  let next: Api;
  let nowMs = Date.now();

  before(async () => {
    harness = await startApi((deps) => {
      base = { ...deps, clock: { ...deps.clock, nowMs: () => nowMs } };
      return base;
    });
    await harness.ask(harness.admin, "PUT", `${organisations}/acme`, { spec: specs.Organisation });
    await harness.ask(harness.admin, "PUT", "/api/v1/projects/shop", { spec: specs.Project });
    await harness.ask(harness.admin, "PUT", `${instances}/web`, { spec: specs.Instance });
    await restart();
  });
  after(async () => {
    await next.app.close();
    await harness[Symbol.asyncDispose]();
  });

  async function restart(): Promise<void> {
    await (next as Api | undefined)?.app.close();
    next = await buildApi(base);
  }
  interface Answered {
    readonly status: number;
    readonly body: {
      readonly resource?: { readonly metadata: { readonly id: string } };
      readonly operation?: { readonly metadata: { readonly id: string } };
      readonly code?: string;
      readonly detail?: string;
      readonly remedy?: string;
    };
  }
  /** Of the API after the restart. */
  async function again(
    method: "PUT" | "POST",
    url: string,
    body: object,
    headers: Readonly<Record<string, string>> = key,
  ): Promise<Answered> {
    const authorization = `Bearer ${harness.admin}`;
    const all = { authorization, "content-type": "application/json", ...headers };
    const answer = await next.app.inject({ method, url, headers: all, payload: JSON.stringify(body) });
    return { status: answer.statusCode, body: JSON.parse(answer.body) as Answered["body"] };
  }

  test("is answered as it was where it made something, also where it must not be there yet, and makes nothing", async () => {
    const body = { spec: specs.Organisation };
    const headers = { ...key, "if-none-match": "*" };
    const first = await harness.ask(harness.admin, "PUT", `${organisations}/once`, body, headers);
    assert.equal(first.status, 201);
    const { revision } = harness.store;
    const second = await again("PUT", `${organisations}/once`, body, headers);
    assert.equal(second.status, 201);
    // By which revision it was made, its mark does not tell.
    const { revision: made, ...answered } = JSON.parse(first.text) as { readonly revision: number };
    assert.equal(made, revision);
    assert.deepEqual(second.body, answered);
    assert.equal(harness.store.revision, revision);
    const unkeyed = await again("PUT", `${organisations}/once`, body, { "if-none-match": "*" });
    assert.equal(unkeyed.body.code, "already-exists");
  });

  test("names the operation that it submitted, and submits no other, in one write that the mark is part of", async () => {
    const own = { "idempotency-key": "restart-once" };
    const { revision } = harness.store;
    const first = await harness.ask(harness.admin, "POST", `${instances}/web:restart`, {}, own);
    assert.equal(harness.store.revision, revision + 1, "the mark cost a change of its own");
    await restart();
    const second = await again("POST", `${instances}/web:restart`, {}, own);
    assert.equal(second.status, 202);
    assert.equal(second.body.operation?.metadata.id, first.at("operation.metadata.id"));
    assert.equal(harness.store.revision, revision + 1);
    const other = await again("POST", `${instances}/web:restart`, { graceSeconds: 1 }, own);
    assert.equal(other.body.code, "conflict");
  });

  test("is done where only the key is the same, of another token", async () => {
    const own = { "idempotency-key": "somebody's" };
    const token = await harness.token("somebody", "admin");
    const first = await harness.ask(token, "POST", `${instances}/web:restart`, {}, own);
    await restart();
    const second = await again("POST", `${instances}/web:restart`, {}, own);
    assert.notEqual(second.body.operation?.metadata.id, first.at("operation.metadata.id"));
  });

  test("is told that a token was made, and not its secret", async () => {
    const own = { "idempotency-key": "a-token" };
    const body = { spec: specs.ApiToken };
    const first = await harness.ask(harness.admin, "PUT", "/api/v1/api-tokens/bot", body, own);
    assert.match(first.textAt("secret"), /^skt1\./);
    const second = await again("PUT", "/api/v1/api-tokens/bot", body, own);
    assert.deepEqual([second.status, second.body.code], [409, "conflict"]);
    assert.match(second.body.remedy ?? "", /make another/);
    assert.ok(!JSON.stringify(second.body).includes("skt1."));
  });

  test("is not answered again to whom may not see by now what it made, before a restart or after it", async () => {
    const { admin } = harness;
    await harness.ask(admin, "PUT", "/api/v1/projects/other", { spec: specs.Project });
    await harness.ask(admin, "PUT", "/api/v1/users/zoe", { spec: {} });
    const [subjects, others] = [[{ kind: "User", name: "zoe" }], [{ kind: "User", name: "yan" }]];
    for (const project of ["shop", "other"])
      await harness.ask(admin, "PUT", `/api/v1/role-bindings/zoe-${project}`, {
        spec: { role: "admin", subjects, project },
      });
    const owner = { kind: "User", name: "zoe" };
    const zoe = (await harness.ask(admin, "PUT", "/api/v1/api-tokens/zoe", { spec: { owner } })).textAt("secret");
    const requests = [
      ["/api/v1/role-bindings/given", { spec: { role: "viewer", subjects: others, project: "shop" } }],
      ["/api/v1/api-tokens/made", { spec: { role: "viewer", project: "shop" } }],
    ] as const;
    const put = (number: number) => {
      const [path, body] = requests[number] ?? assert.fail("there are two");
      return harness.ask(zoe, "PUT", path, body, { "idempotency-key": `of-zoe-${number}` });
    };
    const first = [await put(0), await put(1)];
    assert.deepEqual([(await put(0)).text, (await put(1)).text], [first[0]?.text, first[1]?.text]);
    await harness.ask(admin, "DELETE", "/api/v1/role-bindings/zoe-shop");
    for (const number of [0, 1]) {
      const { status, text } = await put(number);
      assert.equal(status, 404, text);
    }
    await restart();
    for (const [number, [url, body]] of requests.entries()) {
      const headers = { authorization: `Bearer ${zoe}`, "content-type": "application/json" };
      const asked = { ...headers, "idempotency-key": `of-zoe-${number}` };
      const answer = await next.app.inject({ method: "PUT", url, headers: asked, payload: JSON.stringify(body) });
      assert.equal(answer.statusCode, 403, answer.body);
      assert.ok(!answer.body.includes("metadata"), answer.body);
    }
  });

  test("is told where what it made is gone since", async () => {
    const own = { "idempotency-key": "of-the-gone" };
    await harness.ask(harness.admin, "PUT", `${instances}/gone`, { spec: specs.Instance });
    await harness.ask(harness.admin, "POST", `${instances}/gone:restart`, {}, own);
    await harness.ask(harness.admin, "DELETE", `${instances}/gone`);
    await restart();
    const second = await again("POST", `${instances}/gone:restart`, {}, own);
    assert.equal(second.body.code, "not-found");
    assert.match(second.body.detail ?? "", /is gone since/);
  });

  test("is not done again after others changed the same: what they changed stays", async () => {
    const url = `${organisations}/shared`;
    const put = (value: number): [string, object, { readonly "idempotency-key": string }] => [
      url,
      { spec: specs.Organisation, metadata: { labels: { value: `v${value}` } } },
      { "idempotency-key": `shared-${value}` },
    ];
    const { revision: before } = harness.store;
    for (let value = 0; value < 9; value++, nowMs++) await harness.ask(harness.admin, "PUT", ...put(value));
    await restart();
    const { revision } = harness.store;
    assert.equal(revision, before + 9, "a mark cost a change of its own");
    const marked = harness.store.get("Organisation", { name: "shared" });
    assert.equal(marked?.metadata.requests?.length, 8);
    for (let value = 1; value < 9; value++) {
      const repeated = await again("PUT", ...put(value));
      assert.deepEqual([repeated.status, repeated.body.resource], [200, marked]);
    }
    const [, , headers] = put(4);
    assert.equal((await again("PUT", url, { spec: specs.Organisation }, headers)).body.code, "conflict");
    assert.equal(harness.store.revision, revision);
    // The ninth before was dropped to make room, so it is done again.
    await again("PUT", ...put(0));
    assert.equal(harness.store.get("Organisation", { name: "shared" })?.metadata.labels["value"], "v0");
  });

  test("leaves marks of the last hour only, and one of the form before is among them", async () => {
    const url = `${organisations}/hourly`;
    const put = async (value: string): Promise<void> => {
      const body = { spec: specs.Organisation, metadata: { labels: { value } } };
      assert.ok((await again("PUT", url, body, { "idempotency-key": `hourly-${value}` })).status < 300);
    };
    const stored = () => harness.store.get("Organisation", { name: "hourly" });
    await put("a");
    const { requests = [], ...metadata } = stored()?.metadata ?? assert.fail("there is none");
    await harness.store.transact((tx) => {
      const object = tx.get("Organisation", { name: "hourly" }) ?? assert.fail("there is none");
      tx.put({ ...object, metadata: { ...metadata, ...(requests[0] === undefined ? {} : { request: requests[0] }) } });
    });
    await restart();
    const { revision } = harness.store;
    await put("a");
    assert.equal(harness.store.revision, revision);
    await put("b");
    assert.deepEqual([stored()?.metadata.request, stored()?.metadata.requests?.length], [undefined, 2]);
    assert.deepEqual(stored()?.metadata.requests?.[0], requests[0]);
    nowMs += 3_600_001;
    await put("c");
    assert.equal(stored()?.metadata.requests?.length, 1);
  });

  test("is known from an operation that was submitted after others were asked for, as long as that is kept", async () => {
    const stopping = new AbortController();
    const recorded = new RecordedRequests(harness.store, stopping.signal);
    const web = { project: "shop", name: "web" };
    const find = (mark: RequestMark) => recorded.find(mark, "Instance", web, nowMs)?.operation?.metadata.id;
    assert.equal(find({ key: "k".repeat(22), request: "r".repeat(22), at: new Date(nowMs).toISOString() }), undefined);
    const restartWith = async (own: string): Promise<{ readonly id: string; readonly mark: RequestMark }> => {
      const first = await again("POST", `${instances}/web:restart`, {}, { "idempotency-key": own });
      const id = first.body.operation?.metadata.id ?? "";
      return { id, mark: harness.store.getById("Operation", id)?.metadata.request ?? assert.fail("no mark") };
    };
    const { id, mark } = await restartWith("later-than-the-index");
    assert.equal(find(mark), id);
    await harness.store.transact((tx) => tx.delete("Operation", id));
    assert.equal(find(mark), undefined);
    stopping.abort();
    const unseen = await restartWith("later-than-the-end");
    assert.equal(find(unseen.mark), undefined);
  });

  test("leaves no mark where it changed nothing, and is forgotten after an hour", async () => {
    const own = { "idempotency-key": "twice" };
    const { revision } = harness.store;
    await harness.ask(harness.admin, "PUT", `${organisations}/acme`, { spec: specs.Organisation }, own);
    assert.equal(harness.store.revision, revision);
    const first = await harness.ask(harness.admin, "POST", `${instances}/web:restart`, {}, own);
    nowMs += 3_600_001;
    await restart();
    const second = await again("POST", `${instances}/web:restart`, {}, own);
    assert.notEqual(second.body.operation?.metadata.id, first.at("operation.metadata.id"));
  });
});
