import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { specs, startApi, type ApiHarness } from "./api-harness.ts";

describe("a plan of several resources", () => {
  let api: ApiHarness;
  const plan = (token: string, ...resources: readonly object[]) =>
    api.ask(token, "POST", "/api/v1/plan", { resources });
  const organisation = { kind: "Organisation", metadata: { name: "acme" }, spec: {} };
  const project = { kind: "Project", metadata: { name: "web" }, spec: specs.Project };
  const network = { kind: "Network", metadata: { name: "lan", project: "web" }, spec: specs.Network };

  before(async () => {
    api = await startApi();
  });
  after(() => api[Symbol.asyncDispose]());

  test("shows each what those before it made, and keeps nothing of it", async () => {
    const { revision } = api.store;
    const answer = await plan(api.admin, organisation, project, network, {
      ...network,
      spec: { cidr: "10.2.0.0/24" },
    });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.each("plan", "name"), ["acme", "web", "lan"]);
    assert.deepEqual(answer.each("plan", "type"), ["created", "created", "created"]);
    assert.match(answer.text, /10\.2\.0\.0/);
    assert.deepEqual([api.store.revision, api.store.list("Project")], [revision, []]);
  });

  test("says which one can't be, and why", async () => {
    const answer = await plan(api.admin, organisation, network);
    assert.deepEqual([answer.status, answer.at("code")], [404, "not-found"]);
    assert.match(answer.textAt("detail"), /^Network lan: There is no project web/);
    const bad = await plan(api.admin, organisation, { ...project, spec: { organisation: 7 } });
    assert.match(bad.textAt("detail"), /^Project web: /);
    assert.equal((await plan(api.admin, { ...network, metadata: { name: "lan" } })).status, 400);
    assert.equal((await plan(api.admin, { ...network, kind: "Operation" })).status, 400);
    assert.equal((await plan(api.admin)).status, 400);
  });

  test("is for whoever may make each of them", async () => {
    const [viewer, operator] = [await api.token("looks", "viewer"), await api.token("runs", "operator")];
    const foreign = await api.token("theirs", "admin", "theirs");
    assert.equal((await plan(viewer, network)).status, 403);
    assert.equal((await plan(operator, network, organisation)).status, 403);
    assert.equal((await plan(foreign, network)).status, 404);
    assert.equal((await plan(foreign, { ...project, metadata: { name: "web" } })).status, 404);
    assert.equal((await api.ask(undefined, "POST", "/api/v1/plan", { resources: [organisation] })).status, 401);
  });
});
