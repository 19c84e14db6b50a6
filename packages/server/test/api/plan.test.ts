import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { kinds, type KindName } from "@skerry/model";
import type { IntentTable } from "../../src/intents.ts";
import { specs, startApi, type ApiHarness } from "./api-harness.ts";
import { plainIntents } from "./plain-intents.ts";

describe("a plan of several resources", () => {
  let api: ApiHarness;
  const plan = (token: string, ...resources: readonly object[]) =>
    api.ask(token, "POST", "/api/v1/plan", { fieldManager: "files", resources });
  const organisation = { kind: "Organisation", metadata: { name: "acme" }, spec: {} };
  const project = { kind: "Project", metadata: { name: "web" }, spec: specs.Project };
  const network = { kind: "Network", metadata: { name: "lan", project: "web" }, spec: specs.Network };

  const named = ({ kind, metadata }: { kind: string; metadata: { name: string; project?: string } }) => ({
    kind,
    metadata,
  });

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

  test("shows what is deleted after that, each gone before the next, and what still stands in the way", async () => {
    await using other = await startApi();
    const ask = (resources: readonly object[], deletions: readonly object[]) =>
      other.ask(other.admin, "POST", "/api/v1/plan", { fieldManager: "files", resources, deletions });
    for (const { kind, metadata, spec } of [organisation, project])
      await other.ask(other.admin, "PUT", `/api/v1/${kinds[kind as KindName].plural}/${metadata.name}`, { spec });
    const { revision } = other.store;
    const gone = await ask([network], [{ kind: "Project", metadata: { name: "web" } }, organisation].map(named));
    assert.deepEqual(gone.each("plan", "type"), ["created", "deleted", "deleted"], gone.text);
    const missing = await ask([], [named(network)]);
    assert.deepEqual([missing.status, missing.at("code")], [404, "not-found"]);
    assert.match(missing.textAt("detail"), /^Network lan: /);
    assert.equal((await ask([], [])).status, 400);
    const viewer = await other.token("looks", "viewer");
    const forbidden = { fieldManager: "files", resources: [], deletions: [named(organisation)] };
    assert.equal((await other.ask(viewer, "POST", "/api/v1/plan", forbidden)).status, 403);
    assert.equal(other.store.revision, revision + 1);
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

  test("takes no more at once than it says, and says what to do", async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...organisation, metadata: { name: `o-${index}` } }));
    assert.equal((await plan(api.admin, ...many(200))).status, 200);
    const more = await plan(api.admin, ...many(201));
    assert.deepEqual([more.status, more.at("code")], [400, "invalid-request"]);
    assert.match(more.text, /200/);
    const big = await plan(api.admin, { ...organisation, spec: { displayName: "x".repeat(1024 * 1024) } });
    assert.deepEqual([big.status, big.at("code")], [413, "too-large"]);
    assert.match(big.textAt("remedy"), /1048576 bytes/);
  });

  test("ends where it takes too long, and says how far it came", async () => {
    let nowMs = 0;
    const slow: IntentTable = {
      ...plainIntents,
      Organisation: {
        ...plainIntents.Organisation,
        create: (tx, draft) => ((nowMs += 300), { resource: tx.put(draft) }),
      },
    };
    await using other = await startApi(({ clock }) => ({
      intents: slow,
      clock: { ...clock, monotonicMs: () => nowMs },
    }));
    const resources = ["a", "b", "c", "d", "e"].map((name) => ({ ...organisation, metadata: { name } }));
    const ask = (some: readonly object[]) =>
      other.ask(other.admin, "POST", "/api/v1/plan", { fieldManager: "files", resources: some });
    const answer = await ask(resources);
    assert.deepEqual([answer.status, answer.at("code"), answer.at("facts.tried")], [413, "too-large", 4]);
    assert.match(answer.textAt("remedy"), /at most 2 at once/);
    assert.equal((await ask(resources.slice(0, 4))).status, 200);
    assert.deepEqual(other.store.list("Organisation"), []);
  });

  test("is for whoever may make each of them", async () => {
    const [viewer, operator] = [await api.token("looks", "viewer"), await api.token("runs", "operator")];
    const foreign = await api.token("theirs", "admin", "theirs");
    assert.equal((await plan(viewer, network)).status, 403);
    assert.equal((await plan(operator, network, organisation)).status, 403);
    assert.equal((await plan(foreign, network)).status, 404);
    assert.equal((await plan(foreign, { ...project, metadata: { name: "web" } })).status, 404);
    assert.equal(
      (await api.ask(undefined, "POST", "/api/v1/plan", { fieldManager: "files", resources: [organisation] })).status,
      401,
    );
  });
});
