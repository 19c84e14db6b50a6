import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isRecord, kindNames, kinds, type KindName } from "@skerry/model";
import { describeApi } from "../../src/api/description.ts";
import type { Route } from "../../src/api/route.ts";
import { draft, specs, startApi, type ApiHarness } from "./api-harness.ts";
import { plainIntents } from "./plain-intents.ts";

const project = "ours";
const operation = {
  type: "instance.restart",
  targets: [{ kind: "Instance", name: "thing", project }],
  actor: "root",
  cause: "test",
  input: {},
  deadlineAt: new Date(0).toISOString(),
} as const;

const meter = { month: "2026-01", organisation: "acme" } as const;

/** Of one's own session and credentials, whose only plan is what they are called: a code that proves it serves once. */
const own = ["signOut", "changeOwnPassword", "renewOwnRecoveryCodes", "beginOwnTotp", "confirmOwnTotp"];
/** Routes that change nothing by themselves, that no person or program calls, or that take back what an earlier request has changed (test/undo). */
const others: ReadonlySet<string> = new Set([
  "planResources",
  "simulatePlacement",
  "undoChange",
  "rebalancePlacement",
  ...own,
]);

function mutating({ method, access, operationId }: Pick<Route, "method" | "access" | "operationId">): boolean {
  return method !== "GET" && access !== "public" && !others.has(operationId);
}

/* Made from the table of routes: a new one that changes something takes `dryRun`, or this fails. */
describe("a dry run of every route that changes something", () => {
  let api: ApiHarness;

  before(async () => {
    api = await startApi();
    await api.store.transact((tx) => {
      tx.put(draft("Project", { name: project }, specs.Project, {}));
      for (const kind of kindNames) {
        const key = kinds[kind].scope === "project" ? { project, name: "thing" } : { name: "thing" };
        const spec = kind === "Operation" ? operation : kind === "Meter" ? meter : specs[kind];
        tx.put(draft(kind, key, spec as never, plainIntents[kind].initialStatus as never));
      }
    });
  });
  after(() => api[Symbol.asyncDispose]());

  /** What makes each route do something, where it is not a dry run. */
  function requestsOf(
    route: Route,
  ): readonly { readonly body?: unknown; readonly type?: string; readonly query?: string }[] {
    const kind = route.tag as KindName;
    const spec = isRecord(kind) ? {} : specs[kind];
    const labels = { dry: "run" };
    if (route.operationId === "uploadImageContent")
      return [{ body: Buffer.alloc(4), type: "application/octet-stream" }];
    switch (route.method) {
      case "PUT":
        return [{ body: { metadata: { labels }, spec } }];
      case "PATCH":
        return [
          { body: { metadata: { labels } }, type: "application/merge-patch+json" },
          { body: { metadata: { labels } }, type: "application/apply-patch+json", query: "&fieldManager=files" },
        ];
      default:
        return [{}];
    }
  }

  test("answers with what it would come to, and leaves the store at its revision", async () => {
    const routes = api.api.routes.filter(mutating);
    assert.ok(routes.length > 35, `only ${routes.length} routes`);
    for (const route of routes) {
      const path = route.path.replace("{project}", project).replace("{name}", "thing");
      assert.ok(!path.includes("{"), `${route.method} ${route.path}: what stands in its path?`);
      for (const { body, type, query = "" } of requestsOf(route)) {
        const { revision } = api.store;
        const headers = type === undefined ? {} : { "content-type": type };
        const answer = await api.ask(api.admin, route.method, `${path}?dryRun=true${query}`, body, headers);
        const what = `${route.method} ${route.path}: ${answer.text.slice(0, 300)}`;
        assert.equal(answer.status, 200, what);
        assert.ok((answer.at("plan") as readonly unknown[]).length > 0, what);
        assert.equal(answer.at("resource.kind"), route.tag, what);
        assert.equal(api.store.revision, revision, what);
      }
    }
  });

  test("is taken by what the whole server serves, actions of real kinds too", () => {
    const without = describeApi("0.0.0-test")
      .routes.filter(
        (route) =>
          (mutating(route) || ["undoChange", "rebalancePlacement"].includes(route.operationId)) &&
          route.query?.properties["dryRun"] === undefined,
      )
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(without, []);
  });

  test("tells the resource as it would be, what else would change and the operation that would go on", async () => {
    const path = `/api/v1/projects/${project}/instances/thing`;
    const answer = await api.ask(api.admin, "POST", `${path}:restart?dryRun=true`, {});
    assert.equal(answer.at("operation.spec.type"), "instance.restart");
    assert.deepEqual(answer.each("plan", "kind"), ["Operation"]);
    const patched = await api.ask(api.admin, "PATCH", `${path}?dryRun=true`, { spec: { vcpus: 3 } });
    assert.equal(patched.at("resource.spec.vcpus"), 3);
    assert.equal(patched.at("operation"), undefined);
  });
});
