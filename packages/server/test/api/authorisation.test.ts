import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { kindNames, kinds, roles } from "@skerry/model";
import { decide, placeOf, verbs } from "../../src/authorisation/authorise.ts";
import type { Principal } from "../../src/authorisation/principal.ts";
import type { Route } from "../../src/api/route.ts";
import { draft, specs, startApi, type ApiHarness } from "./api-harness.ts";

/** A route's path with names of things that exist in project `ours` or, where it names one, the other project. */
function concrete(route: Route, project: string): string {
  return route.path
    .replace("{project}", project)
    .replace("{name}", "thing")
    .replace("{port}", "80")
    .replace("{digest}", "x")
    .replace("{id}", "x");
}

const body = { PUT: {}, PATCH: {}, POST: {}, GET: undefined, DELETE: undefined };

describe("every route of the table", () => {
  let harness: ApiHarness;
  let tokens: { viewer: string; operator: string; foreigner: string; foreignAdmin: string; expired: string };
  before(async () => {
    harness = await startApi();
    tokens = {
      viewer: await harness.token("viewer", "viewer"),
      operator: await harness.token("operator", "operator"),
      foreigner: await harness.token("foreigner", "operator", "theirs"),
      foreignAdmin: await harness.token("foreign-admin", "admin", "theirs"),
      expired: await harness.token("expired", "admin", undefined, Date.now() - 1),
    };
    await harness.store.transact((tx) => {
      for (const name of ["ours", "theirs"]) tx.put(draft("Project", { name }, specs.Project, {}));
      tx.put(
        draft("Instance", { name: "thing", project: "ours" }, specs.Instance, {
          state: "pending",
          health: "unknown",
          addresses: [],
          conditions: [],
        }),
      );
      tx.put(
        draft(
          "Operation",
          { name: "thing" },
          {
            type: "instance.restart",
            targets: [{ kind: "Instance", name: "thing", project: "ours" }],
            actor: "root",
            cause: "test",
            input: {},
            deadlineAt: new Date().toISOString(),
          },
          { state: "pending", steps: [], notes: {} },
        ),
      );
    });
  });
  after(() => harness[Symbol.asyncDispose]());

  test("lets a project see and cancel its operations, nodes among their targets or not, but none that touches another", () => {
    const place = (...others: readonly { kind: string; name: string; project?: string }[]) => {
      const targets = [{ kind: "Instance", name: "thing", project: "ours" }, ...others];
      const spec = { type: "instance.migrate", targets, actor: "a", cause: "c", input: {}, deadlineAt: "" };
      return placeOf(draft("Operation", { name: "thing" }, spec, { state: "pending", steps: [], notes: {} }));
    };
    const onNodes = place({ kind: "Node", name: "mad-1" }, { kind: "Node", name: "par-1" });
    assert.deepEqual(onNodes, { project: "ours" });
    assert.deepEqual(place({ kind: "Volume", name: "thing", project: "theirs" }), {});
    const principal: Principal = { name: "op", role: "operator", project: "ours", tokenId: "atk" };
    for (const verb of ["read", "act"] as const) assert.equal(decide(principal, verb, "Operation", onNodes), "allowed");
  });

  test("answers 401 without a token, with a made-up one and with an expired one, but for liveness", async () => {
    const madeUp = `skt1.atk_${"0".repeat(26)}.${"a".repeat(43)}`;
    assert.ok(harness.api.routes.length > 60);
    for (const route of harness.api.routes) {
      for (const token of [undefined, "nonsense", madeUp, tokens.expired]) {
        const answer = await harness.ask(token, route.method, concrete(route, "ours"), body[route.method]);
        const expected = route.path === "/livez" ? 200 : 401;
        assert.equal(answer.status, expected, `${route.method} ${route.path}`);
        if (expected === 401) assert.equal(answer.at("code"), "unauthenticated");
      }
    }
  });

  test("answers 403 to a viewer who wants to change or enter something", async () => {
    const changing = harness.api.routes.filter(
      (route) => typeof route.access === "object" && route.access.verb !== "read",
    );
    assert.ok(changing.length > 35);
    for (const route of changing) {
      const answer = await harness.ask(tokens.viewer, route.method, concrete(route, "ours"), body[route.method]);
      assert.equal(answer.status, 403, `${route.method} ${route.path}`);
    }
  });

  test("answers 403 to an operator who wants to change what is not in a project", async () => {
    const zone = harness.api.routes.filter(
      (route) =>
        typeof route.access === "object" &&
        route.access.verb !== "read" &&
        kinds[route.access.kind].scope === "zone" &&
        route.access.kind !== "Operation",
    );
    assert.ok(zone.length > 18);
    for (const route of zone) {
      const answer = await harness.ask(tokens.operator, route.method, concrete(route, "ours"), body[route.method]);
      assert.equal(answer.status, 403, `${route.method} ${route.path}`);
    }
  });

  test("answers 404 to a token of another project, whatever its role", async () => {
    const guarded = harness.api.routes.filter((route) => typeof route.access === "object");
    for (const token of [tokens.foreigner, tokens.foreignAdmin]) {
      for (const route of guarded) {
        const path = route.path.startsWith("/api/v1/projects/{name}")
          ? concrete(route, "ours").replace("thing", "ours")
          : concrete(route, "ours");
        const answer = await harness.ask(token, route.method, path, body[route.method]);
        assert.equal(answer.status, 404, `${route.method} ${route.path}`);
        assert.equal(answer.at("code"), "not-found");
      }
    }
  });

  test("every route that anyone with a token may ask shows a foreigner nothing of others", async () => {
    const open = harness.api.routes.filter(
      (route) => route.access === "any-token" && route.method === "GET" && !route.path.endsWith("events"),
    );
    for (const route of open) {
      const { text } = await harness.ask(tokens.foreigner, "GET", route.path);
      assert.ok(!text.includes('"ours"') && !text.includes('"root"'), `${route.path}: ${text.slice(0, 200)}`);
    }
  });

  test("a path that does not exist answers 401 without a token, 404 with one", async () => {
    for (const [method, path] of [
      ["GET", "/nothing"],
      ["POST", "/api/v1/projects"],
      ["PUT", "/api/v1/operations/x"],
      ["POST", "/api/v1/projects/ours/instances/thing:explode"],
    ] as const) {
      assert.equal((await harness.ask(undefined, method, path, body[method])).status, 401, path);
      const answer = await harness.ask(harness.admin, method, path, body[method]);
      assert.equal(answer.status, 404, path);
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
    }
  });
});

describe("decide", () => {
  const principal = (role: Principal["role"], project?: string): Principal => ({
    name: "t",
    role,
    tokenId: "x",
    ...(project === undefined ? {} : { project }),
  });

  test("no role but the zone's admin writes anything outside projects, and nobody of a project sees outside of it", () => {
    for (const kind of kindNames) {
      for (const verb of verbs) {
        for (const role of roles) {
          for (const place of [{}, { project: "a" }]) {
            const zoneWide = decide(principal(role), verb, kind, place);
            if (verb === "read" || role === "admin") assert.equal(zoneWide, "allowed");
            else if (role === "viewer" || place.project === undefined) assert.equal(zoneWide, "forbidden");
            const scoped = decide(principal(role, "b"), verb, kind, place);
            assert.equal(scoped, "hidden");
          }
          const own = decide(principal(role, "a"), verb, kind, { project: "a" });
          const writes = role !== "viewer" && (kinds[kind].scope === "project" || kind === "Operation");
          assert.equal(own, verb === "read" || writes ? "allowed" : "forbidden", `${role} ${verb} ${kind}`);
        }
      }
    }
  });
});
