import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { placeOf } from "../../src/authorisation/place.ts";
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

/** Who proves who they are needs no token, and says nothing here that proves it. */
const proving: Readonly<Record<string, number>> = {
  "POST /api/v1/sign-in": 400,
  "POST /api/v1/enrolment/begin": 400,
  "POST /api/v1/enrolment": 400,
  "POST /api/v1/sign-in/browser/begin": 400,
  "POST /api/v1/sign-in/browser": 400,
  "POST /api/v1/sign-in/device/begin": 401,
  "POST /api/v1/sign-in/device": 400,
  "GET /enrol": 401,
  "POST /enrol": 400,
};

const body = { PUT: {}, PATCH: {}, POST: {}, GET: undefined, DELETE: undefined };

describe("every route of the table", () => {
  let harness: ApiHarness;
  let tokens: { foreigner: string; expired: string };
  before(async () => {
    harness = await startApi();
    tokens = {
      foreigner: await harness.token("foreigner", "operator", "theirs"),
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

  test("an operation is its subject's project's, nodes among its targets or not, but nobody's who is of one project where it touches another", () => {
    const place = (...others: readonly { kind: string; name: string; project?: string }[]) => {
      const targets = [{ kind: "Instance", name: "thing", project: "ours" }, ...others];
      const spec = { type: "instance.migrate", targets, actor: "a", cause: "c", input: {}, deadlineAt: "" };
      const operation = draft("Operation", { name: "thing" }, spec, { state: "pending", steps: [], notes: {} });
      return placeOf(operation, harness.rights.roles);
    };
    const onNodes = place({ kind: "Node", name: "mad-1" }, { kind: "Node", name: "par-1" });
    assert.deepEqual(onNodes, { project: "ours" });
    assert.deepEqual(place({ kind: "Volume", name: "thing", project: "theirs" }), {});
  });

  test("answers 401 without a token, with a made-up one and with an expired one, but for liveness and what asks for other proof", async () => {
    const madeUp = `skt1.atk_${"0".repeat(26)}.${"a".repeat(43)}`;
    // Of a token that is there, with a secret that is not its own.
    const guessed = `${harness.admin.slice(0, -43)}${"a".repeat(43)}`;
    assert.ok(harness.api.routes.length > 60);
    for (const route of harness.api.routes) {
      for (const token of [undefined, "nonsense", madeUp, guessed, tokens.expired]) {
        const answer = await harness.ask(token, route.method, concrete(route, "ours"), body[route.method]);
        const asksForProof = proving[`${route.method} ${route.path}`];
        assert.equal(asksForProof === undefined, route.access !== "public" || route.path === "/livez", route.path);
        const expected = asksForProof ?? (route.path === "/livez" ? 200 : 401);
        assert.equal(answer.status, expected, `${route.method} ${route.path}`);
        if (expected === 401 && asksForProof === undefined) assert.equal(answer.at("code"), "unauthenticated");
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
