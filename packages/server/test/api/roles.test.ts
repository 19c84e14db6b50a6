import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isKindName, kinds, type KindName, type RoleBindingResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { formatApiToken } from "../../src/authorisation/api-token.ts";
import { AttemptLimit } from "../../src/sign-in/attempt-limit.ts";
import { mintSecret } from "../../src/authorisation/secret.ts";
import { draft, specs, startApi, type ApiHarness, type Method } from "./api-harness.ts";

/* Every route of the OpenAPI document with every role at every place, against what is written down here apart from the code. */

type Scope = Pick<RoleBindingResource["spec"], "project" | "organisation" | "provider">;

const zone: Scope = {};
const own = { project: "ours", organisation: "acme", provider: "metal" } as const;

/** Who asks: a role, and where it was given. */
const callers: readonly { readonly role: string; readonly scope: Scope }[] = [
  ...["viewer", "operator", "platform-admin", "cleaner"].map((role) => ({ role, scope: zone })),
  ...["viewer", "operator", "admin", "cleaner"].flatMap((role) => [
    { role, scope: { project: own.project } },
    { role, scope: { project: "theirs" } },
    { role, scope: { organisation: own.organisation } },
    { role, scope: { organisation: "others" } },
  ]),
  ...["viewer", "provider", "admin"].flatMap((role) => [
    { role, scope: { provider: own.provider } },
    { role, scope: { provider: "rented" } },
  ]),
];

/** What is asked of the whole zone. */
const zoneVerbs = new Set(["backup", "audit", "rebalance"]);
const inProject = new Set<KindName>([
  "Image",
  "Volume",
  "Network",
  "Instance",
  "ServiceAccount",
  "DisruptionBudget",
  "Meter",
]);
const tenants = new Set<KindName>([...inProject, "Project", "Operation", "ApiToken", "RoleBinding"]);
const providers = new Set<KindName>(["Provider", "Site", "Node", "JoinToken"]);

/** What is tried on: one thing of each kind, those in a project in `ours`, the others of `acme` and at `metal`. */
const things: Readonly<Record<KindName, string>> = {
  ...(Object.fromEntries(Object.keys(kinds).map((kind) => [kind, "thing"])) as Record<KindName, string>),
  Organisation: own.organisation,
  Project: own.project,
  Provider: own.provider,
};

function isWithin({ project, organisation, provider }: Scope, kind: KindName): boolean {
  if (project !== undefined) return project === own.project && tenants.has(kind);
  if (organisation !== undefined)
    return organisation === own.organisation && (tenants.has(kind) || kind === "Organisation");
  return provider === undefined || (provider === own.provider && providers.has(kind));
}

/** Whether a role permits to change what is of a kind, or to enter it, where it holds. */
function mayChange(role: string, scope: Scope, kind: KindName, verb: string): boolean {
  // Who may act on every node, which is more than on one's own.
  if (verb === "rebalance")
    return Object.keys(scope).length === 0 && ["platform-admin", "admin", "provider"].includes(role);
  if (zoneVerbs.has(verb)) return role === "platform-admin";
  if ((kind === "Organisation" || kind === "Provider") && Object.keys(scope).length > 0) return false;
  if (kind === "Project" && scope.project !== undefined) return false;
  switch (role) {
    case "admin":
    case "platform-admin":
      return true;
    case "operator":
      return (inProject.has(kind) && kind !== "ServiceAccount") || kind === "Operation";
    case "provider":
      return ["Site", "Node", "JoinToken", "Operation"].includes(kind);
    case "cleaner":
      return verb === "delete" && kind === "Volume";
    default:
      return false;
  }
}

/** The cleaner's role is a custom one: it sees everything but networks. */
function mayRead(role: string, kind: KindName): boolean {
  return role !== "cleaner" || kind !== "Network";
}

const cleaner = `permit (principal, action == Skerry::Action::"read", resource);
permit (principal, action == Skerry::Action::"delete", resource is Skerry::Volume);
forbid (principal, action, resource is Skerry::Network);`;

interface Documented {
  readonly method: Method;
  readonly path: string;
  readonly tags: readonly string[];
}

/** Routes that whoever is known may ask, and what they show is filtered; and those that nobody need be known for. */
const open = new Set([
  "GET /livez",
  "GET /api/v1/whoami",
  "GET /api/v1/version",
  "GET /api/v1/openapi.json",
  "GET /api/v1/events",
  "POST /api/v1/plan",
  "POST /api/v1/placement/simulations",
  // Each thing that it does is authorised by itself: test/undo.
  "POST /api/v1/undo",
]);

const proof = { password: "not anybody's password", code: "000000" };
const link = `ski1.first.${"a".repeat(43)}`;
/** Routes by which people show who they are, and change how: what each answers to whoever shows nothing, whatever their role. */
const signingIn: Readonly<Record<string, { readonly body: object | undefined; readonly status: number }>> = {
  "POST /api/v1/sign-in": { body: { user: "nobody", ...proof }, status: 401 },
  "POST /api/v1/sign-out": { body: {}, status: 409 },
  "POST /api/v1/sign-in/browser/begin": {
    body: { identityProvider: "nothing", redirectUri: "http://127.0.0.1:8400/callback" },
    status: 401,
  },
  "POST /api/v1/sign-in/browser": { body: { draft: "", answer: "code=x" }, status: 401 },
  "POST /api/v1/sign-in/device/begin": { body: { identityProvider: "nothing" }, status: 401 },
  "POST /api/v1/sign-in/device": { body: { draft: "" }, status: 401 },
  "POST /api/v1/enrolment/begin": { body: { code: link }, status: 401 },
  "POST /api/v1/enrolment": { body: { code: link, draft: "", password: "", totpCode: "" }, status: 401 },
  "GET /enrol": { body: undefined, status: 401 },
  "POST /enrol": { body: {}, status: 400 },
  "POST /api/v1/own/password": { body: { ...proof, newPassword: "another horse, another battery" }, status: 401 },
  "POST /api/v1/own/recovery-codes": { body: proof, status: 401 },
  "POST /api/v1/own/totp/begin": { body: proof, status: 401 },
  "POST /api/v1/own/totp": { body: { draft: "", totpCode: "000000" }, status: 409 },
};

const verbOf: Readonly<Record<Method, string>> = {
  GET: "read",
  PUT: "put",
  PATCH: "patch",
  DELETE: "delete",
  POST: "act",
};

describe("every route with every role", () => {
  let harness: ApiHarness;
  let routes: readonly Documented[];
  const tokens = new Map<string, string>();

  before(async () => {
    // As many tries as there are callers are more than one address has.
    harness = await startApi(({ clock }) => ({
      attempts: new AttemptLimit({ monotonicMs: () => clock.monotonicMs() * 1e6 }),
    }));
    await harness.store.transact((tx) => {
      const metal = { ...specs.Site, provider: own.provider };
      tx.put(draft("Organisation", { name: own.organisation }, {}, {}));
      tx.put(draft("Project", { name: own.project }, { organisation: own.organisation }, {}));
      tx.put(draft("Project", { name: "theirs" }, { organisation: "others" }, {}));
      tx.put(draft("Provider", { name: own.provider }, specs.Provider, { conditions: [] }));
      tx.put(draft("Site", { name: "thing" }, metal, {}));
      tx.put(draft("Node", { name: "thing" }, { site: "thing" }, { connected: false, conditions: [] }));
      tx.put(draft("JoinToken", { name: "thing" }, { site: "thing" }, {}));
      tx.put(draft("ApiToken", { name: "thing" }, { role: "viewer", project: own.project }, {}));
      tx.put(draft("User", { name: "thing" }, {}, {}));
      tx.put(draft("Group", { name: "thing" }, { members: [] }, {}));
      tx.put(draft("Role", { name: "thing" }, specs.Role, {}));
      tx.put(draft("IdentityProvider", { name: "thing" }, specs.IdentityProvider, {}));
      const subjects = [{ kind: "User" as const, name: "thing" }];
      tx.put(draft("RoleBinding", { name: "thing" }, { role: "viewer", subjects, project: own.project }, {}));
      const key = { name: "thing", project: own.project };
      tx.put(draft("ServiceAccount", key, {}, {}));
      tx.put(draft("DisruptionBudget", key, specs.DisruptionBudget, {}));
      tx.put(draft("Meter", key, { month: "2026-01", organisation: own.organisation }, { sites: [] }));
      tx.put(draft("Image", key, specs.Image, { state: "pending" }));
      tx.put(draft("Volume", key, specs.Volume, { state: "absent", conditions: [] }));
      tx.put(draft("Network", key, specs.Network, { conditions: [] }));
      const status = { state: "pending", health: "unknown", addresses: [], conditions: [] } as const;
      tx.put(draft("Instance", key, specs.Instance, { ...status, addresses: [], conditions: [] }));
      const targets = [{ kind: "Instance", ...key }];
      const job = { type: "t", targets, actor: "a", cause: "c", input: {}, deadlineAt: new Date(0).toISOString() };
      tx.put(draft("Operation", { name: "thing" }, job, { state: "pending", steps: [], notes: {} }));
      tx.put(draft("Role", { name: "cleaner" }, { policies: cleaner }, {}));
      for (const [index, { role, scope }] of callers.entries()) {
        const name = `caller-${index}`;
        const { secret, hash } = mintSecret();
        const token = draft("ApiToken", { name }, { owner: { kind: "User", name } }, { secretHash: hash });
        tx.put(draft("User", { name }, {}, {}));
        tx.put(token);
        tx.put(draft("RoleBinding", { name }, { role, subjects: [{ kind: "User", name }], ...scope }, {}));
        tokens.set(name, formatApiToken({ id: token.metadata.id, secret }));
      }
    });
    const { text } = await harness.ask(harness.admin, "GET", "/api/v1/openapi.json");
    const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, { tags: readonly string[] }>> };
    routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { tags }]) => ({ path, method: method.toUpperCase() as Method, tags })),
    );
  });
  after(() => harness[Symbol.asyncDispose]());

  test("answers as its role and place say, and as if nothing were there to whom may not see it", async () => {
    let allowed = 0;
    for (const route of routes) {
      const { method, path } = route;
      if (open.has(`${method} ${path}`) || isSigningIn(route) || isList(route)) continue;
      const { kind, verb } = ruleOf(route);
      for (const [index, { role, scope }] of callers.entries()) {
        const within = isAlwaysThere(path) ? Object.keys(scope).length === 0 : isWithin(scope, kind);
        const sees = within && mayRead(role, kind);
        const may = verb === "read" ? sees : sees && mayChange(role, scope, kind, verb);
        const url = concrete(path, kind) + queryOf(route);
        const ask = (asked: string) =>
          harness.ask(tokens.get(`caller-${index}`), method, asked, bodyOf(harness.store, route, kind));
        const { status, text } = await ask(url);
        const what = `${method} ${path} by ${role} of ${JSON.stringify(scope)}: ${status} ${text.slice(0, 200)}`;
        // Whoever could make one elsewhere is told that they may not here: the same of a name that there is not (hidden-names.test.ts).
        const isLikeNothing = !sees && verb === "put" && status === 403;
        if (isLikeNothing) assert.equal((await ask(url.replace(/[^/]+$/, "nothing-there"))).status, 403, what);
        else if (!may) assert.equal(status, sees || zoneVerbs.has(verb) || isAlwaysThere(path) ? 403 : 404, what);
        // Streams have no node here, and images no content: that is told to whoever was let in.
        else assert.ok(status < 300 || (isSpecial(path) && status !== 401 && status !== 403), what);
        if (may) allowed += 1;
      }
    }
    assert.ok(allowed > 300, String(allowed));
  });

  test("who shows nothing signs in as nobody, whatever their role", async () => {
    const asked = routes.filter(isSigningIn);
    assert.equal(asked.length, Object.keys(signingIn).length);
    const { revision } = harness.store;
    for (const { method, path } of asked) {
      const { body, status } = signingIn[`${method} ${path}`] ?? {};
      for (const [index, { role, scope }] of callers.entries()) {
        const answer = await harness.ask(tokens.get(`caller-${index}`), method, path, body);
        assert.equal(answer.status, status, `${method} ${path} by ${role} of ${JSON.stringify(scope)}: ${answer.text}`);
      }
    }
    assert.equal(harness.store.revision, revision);
  });

  test("lists show each what they may see and nothing else", async () => {
    for (const route of routes.filter(isList)) {
      const { kind } = ruleOf(route);
      for (const [index, { role, scope }] of callers.entries()) {
        const answer = await harness.ask(
          tokens.get(`caller-${index}`),
          "GET",
          `${concrete(route.path, kind)}?limit=2000`,
        );
        const sees = isWithin(scope, kind) && mayRead(role, kind);
        const what = `${route.path} by ${role} of ${JSON.stringify(scope)}`;
        if (route.path.includes("{project}") && !sees) {
          assert.equal(answer.status, 404, what);
          continue;
        }
        const names = answer.each("items", "metadata.name");
        assert.equal(names.includes(things[kind]), sees, what);
        if (Object.keys(scope).length > 0 && !sees) assert.ok(!answer.text.includes('"thing"'), what);
      }
    }
  });
});

function isSigningIn({ method, path }: Documented): boolean {
  return signingIn[`${method} ${path}`] !== undefined;
}

function isList({ method, path }: Documented): boolean {
  return method === "GET" && Object.values(kinds).some(({ plural }) => path.endsWith(`/${plural}`));
}

/** That there is such a thing is no secret. */
function isAlwaysThere(path: string): boolean {
  return path === "/metrics";
}

/** Routes of bytes, why an instance is where it is, and what it would gain elsewhere: what comes after the guard fails here. */
function isSpecial(path: string): boolean {
  return (
    /:connect|\/console|\/ports\/|\/content|:backup|\/backup|agents?\/|\/placement$|\/rebalance$/.test(path) ||
    path.endsWith("/log")
  );
}

function ruleOf({ method, path, tags }: Documented): { readonly kind: KindName; readonly verb: string } {
  const kind = tags.find(isKindName);
  for (const verb of zoneVerbs) if (path.endsWith(`/${verb}`)) return { kind: "Organisation", verb };
  if (kind === undefined) throw new Error(`nothing here says who may ask ${method} ${path}`);
  if (path.endsWith("/content")) return { kind, verb: "upload" };
  if (/\/(console|ports\/\{port\})$/.test(path)) return { kind, verb: "connect" };
  return { kind, verb: verbOf[method] };
}

function concrete(path: string, kind: KindName): string {
  return path.replace("{project}", own.project).replace("{name}", things[kind]).replace("{port}", "80");
}

/** Nothing is changed, so that each caller finds the same. */
function queryOf({ method, path }: Documented): string {
  return method === "GET" || isSpecial(path) ? "" : "?dryRun=true";
}

/** What leaves the thing as it is. */
function bodyOf(store: Store, { method, path }: Documented, kind: KindName): object | undefined {
  if (method === "PATCH" || method === "POST") return {};
  if (method !== "PUT" || path.endsWith("/content")) return undefined;
  const place = kinds[kind].scope === "project" ? { project: own.project } : {};
  return { spec: store.get(kind, { name: things[kind], ...place })?.spec };
}
