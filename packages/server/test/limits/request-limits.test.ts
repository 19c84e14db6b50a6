import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:tls";
import { describe, test } from "node:test";
import { listen } from "../../src/api/listener.ts";
import { apiTokenIntents } from "../../src/controllers/intents/api-token.ts";
import { OwnRateBook } from "../../src/limits/own-rates.ts";
import { RequestLimits, principalKey, type RequestLimitOptions } from "../../src/limits/request-limits.ts";
import { systemRandom } from "../../src/operations/random.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { draft, specs, startApi, type Answer, type ApiHarness, type BaseDeps } from "../api/api-harness.ts";
import { plainIntents } from "../api/plain-intents.ts";
import { ManualClock } from "../fakes/manual-clock.ts";

interface Limited extends AsyncDisposable {
  readonly api: ApiHarness;
  readonly base: BaseDeps;
  readonly clock: ManualClock;
}

/** An API whose limits count by a clock that stands still, with the projects `ours` and `theirs`. */
async function startLimited(
  options: Partial<RequestLimitOptions>,
  more: (base: BaseDeps) => Partial<BaseDeps> = () => ({}),
): Promise<Limited> {
  const clock = new ManualClock();
  let base: BaseDeps | undefined;
  let rates: OwnRateBook | undefined;
  const api = await startApi((deps) => {
    base = deps;
    const book = new OwnRateBook(deps.store);
    rates = book;
    const ratesOf = (project: string) => book.of(project, deps.rights.roles.organisationOf(project));
    return { ...more(deps), limits: new RequestLimits(clock, options), ratesOf };
  });
  await api.store.transact((tx) => {
    tx.put(draft("Organisation", { name: "acme" }, {}, {}));
    for (const name of ["ours", "theirs"]) tx.put(draft("Project", { name }, { organisation: "acme" }, {}));
  });
  assert.ok(base !== undefined);
  const close = async (): Promise<void> => {
    rates?.close();
    await api[Symbol.asyncDispose]();
  };
  return { api, base, clock, [Symbol.asyncDispose]: close };
}

const tokens = "/api/v1/api-tokens";
const networks = (project: string, name: string): string => `/api/v1/projects/${project}/networks/${name}`;

function isRefused(answer: Answer, limit: string): void {
  assert.equal(answer.status, 429, answer.text);
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  assert.deepEqual([answer.at("code"), answer.at("facts.limit")], ["too-many-requests", limit]);
  assert.match(answer.textAt("remedy"), /^Ask again in \d+ s/);
}

describe("whoever asks too much", () => {
  test("is told so with a cause, when to come back and what the limit is, and is let in again by then", async () => {
    await using zone = await startLimited({ principal: { perSecond: 0.5, burst: 3 } });
    const { api, clock } = zone;
    const [own, other] = [await api.token("one", "viewer", "ours"), await api.token("two", "viewer", "theirs")];
    const ask = (token: string, path = "/api/v1/projects") => api.ask(token, "GET", path);
    for (let count = 0; count < 3; count++) assert.equal((await ask(own)).status, 200);
    const refused = await ask(own);
    isRefused(refused, "principal");
    const { headers } = refused;
    assert.equal(headers["retry-after"], "2");
    assert.equal(headers["ratelimit-policy"], '"principal";q=3;w=6');
    assert.equal(headers["ratelimit"], '"principal";r=0;t=2');
    isRefused(await ask(own, "/nothing/here"), "principal");
    assert.equal((await ask(other)).status, 200, "another's token is another matter");
    clock.moveTo(clock.nowMs() + 2000);
    assert.equal((await ask(own)).status, 200);
    isRefused(await ask(own), "principal");
  });

  test("counts as one with all of their tokens", async () => {
    await using zone = await startLimited({ principal: { perSecond: 1, burst: 2 } });
    const { api } = zone;
    const { store } = api;
    await store.transact((tx) => {
      tx.put(draft("User", { name: "ana" }, {}, {}));
      const subjects = [{ kind: "User", name: "ana" } as const];
      tx.put(draft("RoleBinding", { name: "ana" }, { role: "viewer", subjects }, {}));
    });
    const secrets: string[] = [];
    for (const name of ["desk", "lap"]) {
      const made = await api.ask(await api.token(`maker-${name}`, "admin"), "PUT", `${tokens}/${name}`, {
        spec: { owner: { kind: "User", name: "ana" } },
      });
      secrets.push(made.textAt("secret"));
    }
    const [desk, lap] = secrets;
    assert.equal((await api.ask(desk, "GET", "/api/v1/whoami")).status, 200);
    assert.equal((await api.ask(lap, "GET", "/api/v1/whoami")).status, 200);
    isRefused(await api.ask(lap, "GET", "/api/v1/whoami"), "principal");
  });

  test("has no more by making tokens: those of a project count as one, others with whoever made them", async () => {
    await using zone = await startLimited({ principal: { perSecond: 1, burst: 8 } }, ({ rights }) => ({
      intents: { ...plainIntents, ApiToken: apiTokenIntents({ random: systemRandom, rights }) },
    }));
    const { api } = zone;
    const make = async (by: string, name: string, more: object = {}): Promise<string> =>
      (await api.ask(by, "PUT", `${tokens}/${name}`, { spec: { role: "viewer", ...more } })).textAt("secret");
    const who = (token: string) => api.ask(token, "GET", "/api/v1/whoami");
    const maker = await api.token("maker", "admin");
    // Five of eight are asked by now, of these three tokens that are the maker's and of two that are not.
    const first = await make(maker, "first");
    const second = await make(maker, "second");
    const [ours, more] = [
      await make(maker, "ours", { project: "ours" }),
      await make(maker, "more", { project: "ours" }),
    ];
    const theirs = await make(maker, "theirs", { project: "theirs" });
    for (const token of [first, second, first]) assert.equal((await who(token)).status, 200);
    for (const token of [first, second, maker]) isRefused(await who(token), "principal");
    for (const token of [ours, more, ours, more, ours, more, ours, more]) assert.equal((await who(token)).status, 200);
    for (const token of [ours, more]) isRefused(await who(token), "principal");
    assert.equal((await who(theirs)).status, 200);
    // One that was made by one that was made counts with the first of them all.
    assert.equal((await who(api.admin)).status, 200);
    const child = await make(api.admin, "child", { role: "admin" });
    const grandchild = await make(child, "grandchild");
    for (let count = 0; count < 5; count++) assert.equal((await who(grandchild)).status, 200);
    isRefused(await who(grandchild), "principal");
    isRefused(await who(api.admin), "principal");
  });

  test("by a token that says how much is held to that as well", async () => {
    await using zone = await startLimited({});
    const { api } = zone;
    const spec = { role: "viewer", requestsPerSecond: 1 };
    const token = (await api.ask(api.admin, "PUT", `${tokens}/slow`, { spec })).textAt("secret");
    for (let count = 0; count < 5; count++) assert.equal((await api.ask(token, "GET", "/api/v1/whoami")).status, 200);
    isRefused(await api.ask(token, "GET", "/api/v1/whoami"), "token");
  });

  test("in one project is refused changes of that, rehearsed ones as well, and may read", async () => {
    await using zone = await startLimited({ project: { perSecond: 1, burst: 3 } });
    const { api } = zone;
    const put = (project: string, name: string, query = "") =>
      api.ask(api.admin, "PUT", `${networks(project, name)}${query}`, { spec: specs.Network });
    assert.equal((await put("ours", "n1")).status, 201);
    assert.equal((await put("ours", "n2")).status, 201);
    assert.equal((await put("ours", "n3", "?dryRun=true")).status, 200);
    for (const query of ["", "?dryRun=true"]) isRefused(await put("ours", "n3", query), "project");
    isRefused(await api.ask(api.admin, "DELETE", networks("ours", "n1")), "project");
    assert.equal((await api.ask(api.admin, "GET", networks("ours", "n1"))).status, 200);
    assert.equal((await put("theirs", "n1")).status, 201);
  });

  test("without any right to a project uses up nothing of its share", async () => {
    await using zone = await startLimited({ project: { perSecond: 1, burst: 2 } });
    const { api } = zone;
    const foreign = await api.token("foreign", "operator", "theirs");
    for (let count = 0; count < 10; count++)
      assert.equal((await api.ask(foreign, "PUT", networks("ours", "n1"), { spec: specs.Network })).status, 404);
    assert.equal((await api.ask(api.admin, "PUT", networks("ours", "n1"), { spec: specs.Network })).status, 201);
  });

  test("is held to what the project and its organisation say instead, from the next request on", async () => {
    await using zone = await startLimited({ project: { perSecond: 1, burst: 1 } });
    const { api, clock } = zone;
    const put = (project: string, name: string) =>
      api.ask(api.admin, "PUT", networks(project, name), { spec: specs.Network });
    const limit = async (path: string, mutationsPerSecond: number | null) =>
      assert.equal((await api.ask(api.admin, "PATCH", path, { spec: { mutationsPerSecond } })).status, 200);
    await limit("/api/v1/projects/ours", 2);
    for (let count = 0; count < 10; count++) assert.equal((await put("ours", `n-${count}`)).status, 201);
    isRefused(await put("ours", "more"), "project");
    await limit("/api/v1/organisations/acme", 1);
    await limit("/api/v1/projects/ours", 1000);
    clock.moveTo(clock.nowMs() + 1000);
    for (let count = 0; count < 5; count++) assert.equal((await put("ours", `m-${count}`)).status, 201);
    isRefused(await put("ours", "more"), "organisation");
    isRefused(await put("theirs", "more"), "organisation");
    await limit("/api/v1/organisations/acme", null);
    assert.equal((await put("ours", "more")).status, 201);
  });

  test("undoes no more in a project than may be changed there", async () => {
    await using zone = await startLimited({ project: { perSecond: 1, burst: 2 } });
    const { api } = zone;
    const made = await api.ask(api.admin, "PUT", networks("ours", "n1"), { spec: specs.Network });
    const undo = (revision: unknown) => api.ask(api.admin, "POST", "/api/v1/undo", { revision });
    const undone = await undo(made.at("resource.metadata.revision"));
    assert.equal(undone.status, 200, undone.text);
    isRefused(await undo(undone.at("revision")), "project");
    assert.equal(api.store.get("Network", { project: "ours", name: "n1" }), undefined);
  });

  test("in one plan is counted by what it holds", async () => {
    await using zone = await startLimited({ principal: { perSecond: 1, burst: 10 } });
    const { api } = zone;
    const metadata = { name: "n1", project: "ours" };
    const resources = Array.from({ length: 9 }, (_, index) => ({
      ...{ kind: "Network", metadata: { ...metadata, name: `n-${index}` }, spec: specs.Network },
    }));
    const body = { fieldManager: "files", resources };
    assert.equal((await api.ask(api.admin, "POST", "/api/v1/plan", body)).status, 200);
    assert.equal((await api.ask(api.admin, "GET", "/api/v1/whoami")).status, 200);
    isRefused(await api.ask(api.admin, "GET", "/api/v1/whoami"), "principal");
  });

  test("plans no more in a project than may be changed there, in one plan or in many", async () => {
    await using zone = await startLimited({ project: { perSecond: 1, burst: 4 } });
    const { api, clock } = zone;
    const plan = (token: string, project: string, from: number, count: number, deletions: readonly object[] = []) =>
      api.ask(token, "POST", "/api/v1/plan", {
        fieldManager: "files",
        resources: Array.from({ length: count }, (_, index) => {
          const metadata = { name: `n-${from + index}`, project };
          return { kind: "Network", metadata, spec: { cidr: `10.${from + index}.0.0/24` } };
        }),
        deletions,
      });
    const foreign = await api.token("foreign", "operator", "theirs");
    assert.equal((await plan(foreign, "ours", 0, 4)).status, 404);
    assert.equal((await plan(api.admin, "ours", 0, 3)).status, 200);
    isRefused(await plan(api.admin, "ours", 0, 2), "project");
    assert.equal((await plan(api.admin, "ours", 0, 1)).status, 200);
    isRefused(await api.ask(api.admin, "PUT", networks("ours", "n"), { spec: specs.Network }), "project");
    isRefused(
      await plan(api.admin, "ours", 0, 0, [{ kind: "Network", metadata: { name: "n", project: "ours" } }]),
      "project",
    );
    // More than may come at once waits for all of that, and the next waits for all of this.
    assert.equal((await plan(api.admin, "theirs", 0, 10)).status, 200);
    clock.moveTo(clock.nowMs() + 6000);
    isRefused(await plan(api.admin, "theirs", 0, 1), "project");
    clock.moveTo(clock.nowMs() + 1000);
    assert.equal((await plan(api.admin, "theirs", 0, 1)).status, 200);
    const rate = { organisation: "acme", mutationsPerSecond: 1000 };
    await api.store.transact((tx) => tx.put(draft("Project", { name: "free" }, rate, {})));
    assert.equal(
      (await api.ask(api.admin, "PATCH", "/api/v1/organisations/acme", { spec: { mutationsPerSecond: 1 } })).status,
      200,
    );
    assert.equal((await plan(api.admin, "free", 0, 5)).status, 200);
    isRefused(await plan(api.admin, "free", 0, 1), "organisation");
  });

  test("from one address without a token is refused there", async () => {
    await using zone = await startLimited({ address: { perSecond: 1, burst: 2 } });
    const { api } = zone;
    const alive = () => api.ask(undefined, "GET", "/livez");
    assert.equal((await alive()).status, 200);
    assert.equal((await alive()).status, 200);
    isRefused(await alive(), "address");
    assert.equal((await api.ask(api.admin, "GET", "/api/v1/whoami")).status, 200);
  });

  test("may make three thousand instances a second by one token, and no project more than its share", () => {
    const clock = new ManualClock();
    const limits = new RequestLimits(clock);
    const principal = { name: "ci", tokenId: "atk_1" } as Parameters<RequestLimits["admit"]>[0];
    for (let ms = 0; ms < 20_000; ms++) {
      clock.moveTo(clock.nowMs() + 1);
      for (let count = 0; count < 3; count++) {
        limits.admit(principal);
        limits.admitChange(`p${(ms * 3 + count) % 100}`, {});
      }
    }
    assert.throws(() => {
      for (let count = 0; count < 10_000; count++) limits.admitChange("p1", {});
    }, /Of the project p1 changes were asked more than 1000 times a second/);
  });

  test("has a bounded number of streams open, all tokens together, and each that ends makes room for another", () => {
    const { streams } = new RequestLimits(new ManualClock(), { streams: 3 });
    const ana = { owner: "User", name: "ana" } as const;
    const [one, other] = [principalKey({ ...ana, tokenId: "1" }), principalKey({ name: "x", tokenId: "2" })];
    assert.equal(principalKey({ ...ana, tokenId: "3" }), one);
    const open = Array.from({ length: 3 }, () => streams.enter(one));
    assert.throws(() => streams.enter(one), /3 streams open already/);
    streams.enter(other)[Symbol.dispose]();
    open[0]?.[Symbol.dispose]();
    streams.enter(one);
    assert.throws(() => streams.enter(one), /3 streams open already/);
  });
});

describe("whoever sends too slowly", { timeout: 30_000 }, () => {
  const served = async (options: Partial<RequestLimitOptions>, headersTimeoutMs: number) => {
    const zone = await startLimited(options);
    const { authority } = zone.base;
    const pair = await authority.serverPair([]);
    const listener = await listen(pair, [{ host: "127.0.0.1", port: 0 }], undefined, headersTimeoutMs);
    listener.serve(servingOf(zone.api.api.app));
    const port = listener.addresses[0]?.port ?? 0;
    return {
      api: zone.api,
      token: zone.api.admin,
      /** Sends the head of a request, and gives what comes of its answer first; the connection stays open until it is closed. */
      async begin(lines: readonly string[]): Promise<{ readonly text: string; close(): Promise<void> }> {
        const socket = connect({ host: "127.0.0.1", port, ca: authority.certificate });
        socket.on("error", () => undefined);
        await once(socket, "secureConnect");
        const head = [...lines, "host: x", `authorization: Bearer ${zone.api.admin}`];
        socket.write(`${head.join("\r\n")}\r\n\r\n`);
        const [text] = (await once(socket.setEncoding("utf8"), "data")) as [string];
        const close = async (): Promise<void> => {
          socket.destroy();
          await once(socket, "close");
        };
        return { text, close };
      },
      /** Begins a request and goes on with a byte at a time, for ever; gives what was answered by the end. */
      async dribble(begin: string): Promise<string> {
        const socket = connect({ host: "127.0.0.1", port, ca: authority.certificate });
        let text = "";
        socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        // Written to after it was hung up on.
        socket.on("error", () => undefined);
        await once(socket, "secureConnect");
        socket.write(begin);
        const timer = setInterval(() => socket.write("1"), 20);
        await once(socket, "close");
        clearInterval(timer);
        return text;
      },
      async [Symbol.asyncDispose]() {
        await listener.close(100);
        await zone[Symbol.asyncDispose]();
      },
    };
  };

  test("a request's head is answered and hung up on, also before its first line", async () => {
    await using zone = await served({}, 300);
    const text = await zone.dribble("GET /api/v1/projects HTTP/1.1\r\nx-long: ");
    assert.match(text, /^HTTP\/1\.1 400 [\s\S]*did not come in time/);
    await zone.dribble("");
  });

  test("an image is told so and hung up on, and its place is free again", async () => {
    await using zone = await served({ uploads: 1, slowestUpload: { bytes: 1000, inMs: 300 } }, 60_000);
    await zone.api.ask(zone.token, "PUT", "/api/v1/projects/ours/images/slow", {
      spec: { ...specs.Image, sizeBytes: 100_000 },
    });
    const head = [
      "PUT /api/v1/projects/ours/images/slow/content HTTP/1.1\r\nhost: x",
      `authorization: Bearer ${zone.token}\r\nconnection: close`,
      "content-type: application/octet-stream\r\ncontent-length: 100000\r\n\r\n",
    ].join("\r\n");
    const both = await Promise.all([zone.dribble(head), zone.dribble(head)]);
    assert.ok(
      both.some((text) => /^HTTP\/1\.1 504 [\s\S]*less than 1000 bytes in 0.3 seconds/.test(text)),
      both[0],
    );
    assert.ok(
      both.some((text) => /^HTTP\/1\.1 429 [\s\S]*1 uploads open already/.test(text)),
      both[1],
    );
    assert.match(await zone.dribble(head), /^HTTP\/1\.1 504 /);
  });

  test("a stream of events counts until it is closed", async () => {
    await using zone = await served({ streams: 1 }, 60_000);
    const watch = () => zone.begin(["GET /api/v1/events HTTP/1.1"]);
    const first = await watch();
    assert.match(first.text, /^HTTP\/1\.1 200 /);
    const second = await watch();
    assert.match(second.text, /^HTTP\/1\.1 429 /);
    assert.ok(!/retry-after/i.test(second.text), "waiting is no help");
    await first.close();
    const deadline = Date.now() + 5000;
    for (let text = ""; !text.startsWith("HTTP/1.1 200");) {
      assert.ok(Date.now() < deadline, text);
      const again = await watch();
      ({ text } = again);
      await again.close();
    }
    await second.close();
  });

  test("a body of JSON is hung up on", async () => {
    await using zone = await served({ bodyTimeoutMs: 300 }, 60_000);
    const head = `PUT /api/v1/organisations/slow HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${zone.token}\r\n`;
    await zone.dribble(
      `${head}content-type: application/json\r\ncontent-length: 100000\r\n\r\n{"spec":{"displayName":"`,
    );
  });
});
