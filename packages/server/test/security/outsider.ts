import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { startServer } from "../../src/main.ts";
import { RequestGenerator, type OpenApi, type WildRequest } from "./request-generator.ts";

/** Stands in everything that is not the outsider's, so that it must never be seen in an answer to them; they don't know it. */
const mark = "zqforeignzq";
const loops = 16;
/** Answers that go on for ever are left after so much. */
const mostRead = 4 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks a real server `count` times, over TLS, as somebody with `role` in the project `ours`, what the OpenAPI document makes possible: fails
 * where anything that is not theirs is shown or changed, where the server fails, or where it shows its own workings.
 */
export async function playOutsider(
  t: TestContext,
  count: number,
  role: "viewer" | "operator" | "admin",
): Promise<void> {
  t.diagnostic(`SKERRY_TEST_SEED=${seed}`);
  const dataDir = await mkdtemp(join(tmpdir(), "skerry-outsider-"));
  const stop = new AbortController();
  const lines: string[] = [];
  const server = await startServer(
    {
      dataDir,
      listen: [{ host: "127.0.0.1", port: 0 }],
      advertise: ["127.0.0.1"],
      version: "0.0.0-test",
      writeLog: (line) => {
        if (line.includes('"level":"error"')) lines.push(line);
      },
    },
    stop.signal,
  );
  const agent = new Agent({ keepAlive: true, maxSockets: loops, ca: await readFile(server.caFile) });
  const admin = (await readFile(server.adminTokenFile, "utf8")).trim();
  const ask = (token: string, wild: WildRequest): Promise<Answer> => send(server.url, agent, token, wild);
  const asAdmin = async (method: string, path: string, spec?: object): Promise<string> => {
    const { status, text } = await ask(admin, {
      ...{ method, path: `/api/v1/${path}` },
      headers: spec === undefined ? {} : { "content-type": "application/json" },
      body: spec === undefined ? undefined : JSON.stringify({ spec }),
    });
    assert.ok(status < 300, `${method} ${path}: ${text}`);
    return text;
  };
  try {
    const token = await populate(asAdmin, role);
    const before = await stateOf(asAdmin, role);
    const document = JSON.parse(await asAdmin("GET", "openapi.json")) as OpenApi;
    const ids = [...before.matchAll(/"id":"([a-z]+_[0-9a-z]{26})"/g)].slice(0, 8).map(([, id = ""]) => id);
    const names = ["ours", "theirs", "thing", "own", "outsider", "boss", "acme", "others", "admin", ...ids];
    const generator = new RequestGenerator(document, "ours", names, seededRandom(seed));
    const statuses = new Map<number, number>();
    let changed = 0;
    let left = count;
    await Promise.all(
      Array.from({ length: loops }, async () => {
        while (left-- > 0) {
          const wild = generator.next();
          const { status, text } = await ask(token, wild);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status < 300 && ["PUT", "PATCH", "POST", "DELETE"].includes(wild.method)) changed++;
          const what = `${wild.method} ${wild.path} ${wild.body?.slice(0, 500)}: ${status} ${text.slice(0, 500)}`;
          // A revision that has not come yet may come, at a replica: no client is told that it was wrong to ask.
          assert.ok(status < 500 || (status === 503 && text.includes("was asked for")), what);
          assert.ok(!text.includes(mark), what);
          assert.ok(!/node_modules|\.ts:\d+|at [A-Za-z.]+ \(|"stack"/.test(text), what);
        }
      }),
    );
    t.diagnostic(
      [...statuses]
        .toSorted(([one], [other]) => one - other)
        .map(([status, times]) => `${status}: ${times}`)
        .join(", "),
    );
    t.diagnostic(`${changed} changes or plans`);
    assert.ok(
      (statuses.get(200) ?? 0) > count / 50 && (statuses.get(404) ?? 0) > count / 50,
      "hardly anything was asked",
    );
    if (role === "admin" && count >= 20_000)
      assert.ok(changed > count / 500, `hardly anything was changed: ${changed}`);
    assert.deepEqual(lines, []);
    assert.equal(await stateOf(asAdmin, role), before);
  } finally {
    agent.destroy();
    stop.abort();
    await server.close();
    await rm(dataDir, { recursive: true });
  }
}

/** Two tenants, what the zone has, and people; gives the outsider's token. */
async function populate(
  asAdmin: (method: string, path: string, spec?: object) => Promise<string>,
  role: string,
): Promise<string> {
  const put = (path: string, spec: object): Promise<string> => asAdmin("PUT", path, spec);
  const site = { country: "ES", latitude: 40, longitude: -3, tier: "cloud", city: mark };
  await put("organisations/acme", { displayName: mark });
  await put("organisations/others", { displayName: mark });
  await put("providers/thing", { driver: "manual", country: "ES", displayName: mark });
  await put("sites/thing", { provider: "thing", ...site });
  await put("nodes/thing", { site: "thing", address: `${mark}.example` });
  await put("join-tokens/thing", { site: "thing", node: mark });
  for (const [project, organisation] of [
    ["ours", "acme"],
    ["theirs", "others"],
  ] as const) {
    const text = project === "theirs" ? mark : "own";
    await put(`projects/${project}`, { organisation, displayName: text });
    const digest = `sha256:${"0".repeat(64)}`;
    const image = { digest, sizeBytes: 4, format: "qcow2", architecture: "x86_64", virtualSizeMiB: 16 };
    await put(`projects/${project}/images/${project === "ours" ? "own" : mark}`, image);
    await put(`projects/${project}/networks/thing`, { cidr: "10.1.0.0/24" });
    await put(`projects/${project}/service-accounts/thing`, { description: text });
  }
  await put("users/boss", { displayName: mark, email: `${mark}@example.org` });
  await put("users/outsider", {});
  await put("groups/thing", { members: ["boss"], description: mark });
  await put("roles/thing", { policies: "permit (principal, action, resource);", description: mark });
  await put(`role-bindings/${mark}`, { role: "thing", subjects: [{ kind: "User", name: "boss" }] });
  await put("api-tokens/boss", { owner: { kind: "User", name: "boss" }, description: mark });
  // By a name that is not tried: whoever removes it is an outsider to all.
  await put("role-bindings/kept", { role, subjects: [{ kind: "User", name: "outsider" }], project: "ours" });
  const made = await put("api-tokens/own", { owner: { kind: "User", name: "outsider" } });
  return (JSON.parse(made) as { secret: string }).secret;
}

/** All that there is, but what is the outsider's to change, and when nodes were seen. */
async function stateOf(asAdmin: (method: string, path: string) => Promise<string>, role: string): Promise<string> {
  const plurals = [
    "organisations",
    "projects",
    "providers",
    "sites",
    "nodes",
    "images",
    "volumes",
    "networks",
    "instances",
  ];
  const others = [
    "operations",
    "join-tokens",
    "api-tokens",
    "users",
    "groups",
    "service-accounts",
    "roles",
    "role-bindings",
  ];
  const parts: unknown[] = [];
  for (const plural of [...plurals, ...others]) {
    const { items } = JSON.parse(await asAdmin("GET", `${plural}?limit=2000`)) as {
      items: { metadata: { project?: string }; spec: { project?: string; owner?: { project?: string } } }[];
    };
    const isOwn = ({ metadata, spec }: (typeof items)[number]): boolean =>
      role !== "viewer" && [metadata.project, spec.project, spec.owner?.project].includes("ours");
    parts.push(plural === "operations" && role !== "viewer" ? [] : items.filter((item) => !isOwn(item)));
  }
  // What a project uses is told with it, and is the project's own doing.
  return JSON.stringify(parts, (key, value: unknown) => (key === "usage" ? undefined : value));
}

async function send(url: string, agent: Agent, token: string, wild: WildRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { method, headers, body } = wild;
  const base = new URL(url);
  const call = request({
    ...{ agent, method, host: base.hostname, port: base.port, path: wild.path },
    headers: {
      ...headers,
      authorization: `Bearer ${token}`,
      // Said even where the method has none as a rule, so that what is sent is one request.
      ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
    },
  });
  call.once("error", (error) => reject(new Error(JSON.stringify(wild).slice(0, 1500), { cause: error })));
  call.once("response", (response: IncomingMessage) => {
    let text = "";
    const done = (): void => resolve({ status: response.statusCode ?? 0, text });
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.length < mostRead && response.headers["content-type"] !== "text/event-stream") return;
      done();
      response.destroy();
    });
    response.once("end", done).once("error", done);
  });
  call.end(body);
  return promise;
}
