import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { json } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { Quota } from "@skerry/model";
import { listen, type Listener } from "../../src/api/listener.ts";
import { makeControllers, type Controllers } from "../../src/controllers/controllers.ts";
import { monthOf, spanOfMonth } from "../../src/controllers/metering/month.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { systemRandom } from "../../src/operations/random.ts";
import { checkUsage } from "../controllers/usage-count.ts";
import { create, imageSpec, nodeFacts, seedZone } from "../controllers/zone-fixture.ts";
import { startApi, type ApiHarness, type BaseDeps } from "./api-harness.ts";

const instance = { vcpus: 1, memoryMiB: 32, image: "shop/islet", networks: ["lan"] };

/** The API over TLS as it is served, with the intents of the server and nodes that have room for all. */
describe("quotas asked for over the API", { timeout: 120_000 }, () => {
  let api: ApiHarness;
  let listener: Listener;
  let controllers: Controllers;
  let ask: (method: string, path: string, body?: object) => Promise<{ readonly status: number; readonly body: Reply }>;
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });

  before(async () => {
    let base: BaseDeps | undefined;
    api = await startApi((deps) => {
      base = deps;
      controllers = makeControllers({
        ...deps,
        random: systemRandom,
        provisioner: { steps: () => [] },
        openKey: () => undefined,
        authorityFingerprint: "",
        heartbeatMs: 60_000,
        monotonicMs: () => performance.now(),
        surelyLeads: () => true,
      });
      return {
        intents: controllers.intents,
        usage: controllers.usage,
        spend: controllers.spend,
        freshen: (resource) => controllers.freshen(resource),
      };
    });
    assert.ok(base !== undefined);
    const { authority } = base;
    listener = await listen(await authority.serverPair([]), [{ host: "127.0.0.1", port: 0 }]);
    listener.serve(servingOf(api.api.app));
    const port = listener.addresses[0]?.port;
    ask = async (method, path, body) => {
      const headers = {
        authorization: `Bearer ${api.admin}`,
        ...(body === undefined
          ? {}
          : { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" }),
      };
      const call = request({
        ...{ host: "127.0.0.1", port, ca: authority.certificate, agent, method, path: `/api/v1${path}`, headers },
      });
      call.end(body === undefined ? undefined : JSON.stringify(body));
      const [response] = (await once(call, "response")) as [IncomingMessage];
      return { status: response.statusCode ?? 0, body: (await json(response)) as Reply };
    };
    const { intents } = controllers;
    await seedZone(api.store, intents, 0);
    await api.store.transact((tx) => {
      const facts = { ...nodeFacts, capacity: { vcpus: 1000, memoryMiB: 1_000_000, diskMiB: 1_000_000 } };
      for (const node of tx.list("Node")) tx.put({ ...node, status: { ...node.status, connected: true, facts } });
      const image = tx.get("Image", { project: "shop", name: "islet" }) ?? assert.fail();
      tx.put({ ...image, spec: { ...imageSpec, shared: true } });
      create(tx, intents, "Project", { name: "store" }, { organisation: "acme" }, 0);
      create(tx, intents, "Network", { name: "lan", project: "store" }, { cidr: "10.21.0.0/24" }, 0);
    });
  });
  after(async () => {
    agent.destroy();
    await listener.close(100);
    await controllers.stop();
    await api[Symbol.asyncDispose]();
  });

  const limit = async (path: string, quota: Quota | null) => {
    const answer = await ask("PATCH", path, { spec: { quota } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  };

  test("are reached exactly by 200 creates at once and never passed, of two projects and of their organisation", async () => {
    await limit("/projects/shop", { instances: 40 });
    await limit("/organisations/acme", { vcpus: 70, addresses: 200 });
    let most = 0;
    const stop = api.store.subscribe(() => (most = Math.max(most, api.store.list("Instance").length)));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const project = index % 2 === 0 ? "shop" : "store";
        return ask("PUT", `/projects/${project}/instances/web-${index}`, { spec: instance });
      }),
    );
    stop();
    const made = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status, body }) => status === 409 && body.code === "quota-exceeded");
    assert.equal(made.length + refused.length, 200, JSON.stringify(answers.find(({ status }) => status > 409)));
    assert.equal(made.length, 70);
    assert.equal(most, 70);
    assert.ok(api.store.list("Instance", "shop").length <= 40);
    const organisation = await ask("GET", "/organisations/acme");
    assert.deepEqual(organisation.body.status?.usage, {
      ...{ instances: 70, vcpus: 70, memoryMiB: 70 * 32, storageMiB: 70 * 64, addresses: 70, gpus: 0 },
    });
    const listed = await ask("GET", "/projects");
    const counts = listed.body.items?.map(({ status }) => status?.usage?.instances ?? 0) ?? [];
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      70,
    );
    checkUsage(api.store, (resource) => controllers.freshen(resource));
  });

  test("of GPUs are reached exactly by 200 creates at once and never passed, and no device is given twice", async () => {
    const devices = Array.from({ length: 40 }, (_, index) => ({
      ...{ kind: "gpu" as const, model: index % 2 === 0 ? "10de:20b0" : "10de:2204" },
      ...{ address: `0000:${(index + 16).toString(16)}:00.0`, iommuGroup: index },
    }));
    await api.store.transact((tx) => {
      for (const node of tx.list("Node")) {
        const facts = { ...(node.status.facts ?? nodeFacts), devices };
        tx.put({ ...node, status: { ...node.status, facts } });
      }
      create(tx, controllers.intents, "Project", { name: "forge" }, { organisation: "acme" }, 0);
      create(tx, controllers.intents, "Project", { name: "mint" }, { organisation: "acme" }, 0);
    });
    await limit("/organisations/acme", null);
    await limit("/organisations/acme", { gpus: 60 });
    await limit("/projects/forge", { gpus: 25 });
    const held = () =>
      api.store
        .list("Instance")
        .flatMap(({ assignment }) =>
          (assignment?.devices ?? []).map(({ address }) => `${assignment?.node} ${address}`),
        );
    let most = 0;
    const stop = api.store.subscribe(() => (most = Math.max(most, held().length)));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const wish = index % 3 === 0 ? { kind: "gpu", model: "10de:2204" } : { kind: "gpu", count: 1 + (index % 2) };
        const spec = { ...instance, networks: [], devices: [wish] };
        return ask("PUT", `/projects/${index % 2 === 0 ? "forge" : "mint"}/instances/gpu-${index}`, { spec });
      }),
    );
    stop();
    const refused = answers.filter(({ status, body }) => status === 409 && body.code === "quota-exceeded");
    const made = answers.filter(({ status }) => status === 202);
    assert.equal(made.length + refused.length, 200, JSON.stringify(answers.find(({ status }) => status > 409)));
    assert.deepEqual([most, held().length, new Set(held()).size], [60, 60, 60]);
    const gpusOf = async (path: string) => (await ask("GET", path)).body.status?.usage?.["gpus"] ?? 0;
    assert.equal(await gpusOf("/organisations/acme"), 60);
    assert.ok((await gpusOf("/projects/forge")) <= 25);
    checkUsage(api.store, (resource) => controllers.freshen(resource));
    await limit("/organisations/acme", null);
  });

  test("of spend are reached exactly by 200 creates at once and never passed", async () => {
    await api.store.transact((tx) => {
      for (const site of tx.list("Site"))
        tx.put({ ...site, spec: { ...site.spec, prices: [{ from: "2020-01", currency: "EUR", vcpuHour: "1" }] } });
      create(tx, controllers.intents, "Project", { name: "thrift" }, { organisation: "acme" }, Date.now());
    });
    await limit("/organisations/acme", null);
    // The longer of this month and the next: no more than twelve of a vCPU fit into it.
    const perMonth = String(12.5 * 24 * 31);
    await limit("/projects/thrift", { spend: { currency: "EUR", perMonth } });
    const comesTo = () =>
      Number(
        controllers.freshen(api.store.get("Project", { name: "thrift" }) ?? assert.fail()).status.spend?.nextMonth,
      );
    let most = 0;
    const stop = api.store.subscribe(() => (most = Math.max(most, comesTo())));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        ask("PUT", `/projects/thrift/instances/web-${index}`, { spec: { ...instance, networks: [] } }),
      ),
    );
    stop();
    const made = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status, body }) => status === 409 && body.code === "quota-exceeded");
    assert.equal(made.length + refused.length, 200, JSON.stringify(answers.find(({ status }) => status > 409)));
    const { endMs } = spanOfMonth(monthOf(Date.now()));
    const next = spanOfMonth(monthOf(endMs));
    const fit = Math.floor((12.5 * 24 * 31 * 3_600_000) / (next.endMs - next.startMs));
    assert.ok(
      made.length === fit || made.length === 12,
      `${made.length} were made, and ${fit} fit into the next month`,
    );
    assert.ok(most > 0 && most <= Number(perMonth), `${most}`);
    const shown = await ask("GET", "/projects/thrift");
    assert.equal(Number(shown.body.status?.spend?.nextMonth), comesTo());
    await limit("/projects/thrift", null);

    // What a plan would have sites cost is nobody's price but its own.
    await limit("/projects/shop", null);
    await limit("/organisations/acme", { spend: { currency: "EUR", perMonth: "1000000" } });
    const { thisMonth, nextMonth } = (await ask("GET", "/organisations/acme")).body.status?.spend ?? assert.fail();
    const barely = String(Math.max(Number(thisMonth), Number(nextMonth)) + 1);
    await limit("/organisations/acme", { spend: { currency: "EUR", perMonth: barely } });
    const paid = { prices: [{ from: "2019-01", currency: "EUR", vcpuHour: "1" }] };
    await api.store.transact((tx) => {
      for (const site of tx.list("Site")) tx.put({ ...site, spec: { ...site.spec, ...paid } });
    });
    const spec = { ...instance, networks: [] };
    const free = { prices: [{ from: "2020-01", currency: "EUR", vcpuHour: "0" }] };
    const sites = api.store.list("Site").map(({ metadata: { name }, spec: as }) => ({
      ...{ kind: "Site", metadata: { name }, spec: { ...as, ...free } },
    }));
    const planned = { kind: "Instance", metadata: { name: "one-more", project: "thrift" }, spec };
    const resources = [...sites, { ...planned, metadata: { ...planned.metadata, project: "shop" } }];
    const plan = await ask("POST", "/plan", { fieldManager: "files", force: true, resources });
    assert.equal(plan.status, 200, JSON.stringify(plan.body));
    const above = await ask("PUT", "/projects/shop/instances/one-more", { spec });
    assert.deepEqual([above.status, above.body.code], [409, "quota-exceeded"], JSON.stringify(above.body));
    assert.match(above.body.detail ?? "", /^The organisation acme may .*EUR/);
    await limit("/organisations/acme", null);
  });

  test("tell which limit, of what, how much there is, and how to go on", async () => {
    await limit("/projects/shop", { instances: 0 });
    const { status, body } = await ask("PUT", "/projects/shop/instances/more?dryRun=true", { spec: instance });
    assert.deepEqual([status, body.code], [409, "quota-exceeded"]);
    const there = api.store.list("Instance", "shop").length;
    assert.match(body.detail ?? "", new RegExp(`^The project shop may have 0 instances and has ${there}; `));
    assert.match(body.remedy ?? "", new RegExp(`skerry project quota shop instances=${there + 1}`));
    assert.equal(body.errors?.[0]?.path, "/spec");
  });

  test("are part of a plan, which says what there would be of what is allowed", async () => {
    await limit("/projects/shop", { instances: 1000 });
    const usageOf = async (path: string) => (await ask("GET", path)).body.status?.usage ?? {};
    const before = await usageOf("/projects/shop");
    const path = "/projects/shop/instances/planned";
    const spec = { ...instance, networks: [] };
    await limit("/organisations/acme", null);
    const { status, body } = await ask("PUT", `${path}?dryRun=true`, { spec });
    assert.equal(status, 200, JSON.stringify(body));
    const count = before["instances"] ?? 0;
    const ofProject = body.quota?.filter(({ kind }) => kind === "Project") ?? [];
    assert.deepEqual(
      ofProject.map(({ field }) => field),
      ["instances", "vcpus", "memoryMiB", "storageMiB"],
    );
    assert.deepEqual(ofProject[0], {
      ...{ kind: "Project", name: "shop", field: "instances", before: count, after: count + 1, limit: 1000 },
    });
    assert.equal(ofProject[1]?.limit, undefined);
    assert.equal(body.quota?.filter(({ kind, name }) => kind === "Organisation" && name === "acme").length, 4);
    const resources = ["p-1", "p-2"].map((name) => ({
      ...{ kind: "Instance", metadata: { name, project: "shop" }, spec },
    }));
    const several = await ask("POST", "/plan", { fieldManager: "files", resources });
    assert.equal(several.body.quota?.[0]?.after, count + 2);
    assert.deepEqual(await usageOf("/projects/shop"), before);
    const own = await api.token("plans", "operator", "shop");
    const told = await api.ask(own, "PUT", `/api/v1${path}?dryRun=true`, { spec });
    assert.deepEqual(
      new Set(told.each("quota", "kind")),
      new Set(["Project"]),
      "the organisation is none of its business",
    );
  });

  test("of spend are part of a plan: what both months come to, of all that it is of, as it will be shown after it", async () => {
    await api.store.transact((tx) => {
      for (const site of tx.list("Site"))
        tx.put({ ...site, spec: { ...site.spec, prices: [{ from: "2019-01", currency: "EUR", vcpuHour: "1" }] } });
      create(tx, controllers.intents, "Project", { name: "ledger" }, { organisation: "acme" }, Date.now());
    });
    await limit("/organisations/acme", null);
    await limit("/projects/ledger", { spend: { currency: "EUR", perMonth: "100000" } });
    const next = spanOfMonth(monthOf(spanOfMonth(monthOf(Date.now())).endMs));
    const wholeMonth = (vcpus: number) => `${(vcpus * (next.endMs - next.startMs)) / 3_600_000}.000000`;
    const spendIn = ({ body }: { readonly body: Reply }) =>
      (body.quota ?? []).filter(({ field }) => field === "spend").map(({ month, ...line }) => [month, line] as const);
    const path = "/projects/ledger/instances";
    const resources = [1, 2].map((vcpus) => ({
      ...{ kind: "Instance", metadata: { name: `entry-${vcpus}`, project: "ledger" } },
      spec: { ...instance, networks: [], vcpus },
    }));
    const planned = spendIn(await ask("POST", "/plan", { fieldManager: "files", resources }));
    const line = { kind: "Project", name: "ledger", field: "spend", currency: "EUR" };
    const most = { limit: "100000.000000" };
    assert.deepEqual(
      planned.map(([month]) => month),
      ["thisMonth", "nextMonth"],
    );
    assert.deepEqual(planned[1]?.[1], { ...line, ...most, before: "0.000000", after: wholeMonth(3) });
    let revision = 0;
    for (const { metadata, spec } of resources) {
      const alone = spendIn(await ask("PUT", `${path}/${metadata.name}?dryRun=true`, { spec }));
      const made = await ask("PUT", `${path}/${metadata.name}`, { spec });
      assert.equal(made.status, 202);
      revision = made.body.revision ?? 0;
      const shown = (await ask("GET", "/projects/ledger")).body.status?.spend;
      assert.equal(alone[1]?.[1].after, shown?.nextMonth);
    }
    const gone = spendIn(await ask("DELETE", `${path}/entry-1?dryRun=true`));
    assert.deepEqual(gone[1]?.[1], { ...line, ...most, before: wholeMonth(3), after: wholeMonth(2) });
    const undone = spendIn(await ask("POST", "/undo?dryRun=true", { revision }));
    assert.deepEqual(undone[1]?.[1], { ...line, ...most, before: wholeMonth(3), after: wholeMonth(1) });
    const above = await ask("PUT", `${path}/entry-3?dryRun=true`, { spec: { ...resources[0]?.spec, vcpus: 200 } });
    assert.deepEqual([above.status, above.body.code], [409, "quota-exceeded"]);
  });

  test("go with reports of usage: of a project, and of its organisation also after the project is gone", async () => {
    const month = new Date().toISOString().slice(0, 7);
    const { intents } = controllers;
    await api.store.transact((tx) => {
      const site = tx.get("Site", { name: "madrid" }) ?? assert.fail();
      for (const name of ["madrid", "paris", "athens"]) {
        const one = tx.get("Site", { name }) ?? site;
        tx.put({ ...one, spec: { ...one.spec, prices: [{ from: "2020-01", currency: "EUR", vcpuHour: "3600" }] } });
      }
      create(tx, intents, "Project", { name: "brief" }, { organisation: "acme" }, 0);
      create(tx, intents, "Network", { name: "lan", project: "brief" }, { cidr: "10.22.0.0/24" }, 0);
    });
    await ask("PUT", "/projects/brief/instances/one", { spec: { ...instance, vcpus: 2 } });
    const made = api.store.get("Instance", { project: "brief", name: "one" }) ?? assert.fail();
    // Two seconds later than it was.
    await api.store.transact((tx) => {
      const createdAt = new Date(Date.parse(made.metadata.createdAt) - 2000).toISOString();
      tx.put({ ...made, metadata: { ...made.metadata, createdAt } });
    });
    const there = await ask("GET", `/projects/brief/usage?month=${month}`);
    assert.equal(there.status, 200, JSON.stringify(there.body));
    const seconds = Number(there.body.lines?.[0]?.vcpuSeconds);
    assert.ok(seconds >= 4, JSON.stringify(there.body));
    assert.equal(Number(there.body.lines?.[0]?.cost?.vcpus), seconds);
    await api.store.transact((tx) => {
      for (const kind of ["Instance", "Volume", "Network"] as const)
        for (const object of tx.list(kind, "brief")) tx.delete(kind, object.metadata.id);
    });
    const after = await ask("GET", "/projects/brief/usage");
    assert.ok(Number(after.body.lines?.[0]?.vcpuSeconds) >= seconds);
    assert.equal((await ask("DELETE", "/projects/brief")).status, 200);
    assert.equal((await ask("GET", "/projects/brief/usage")).status, 404);
    const organisation = await ask("GET", `/organisations/acme/usage?month=${month}`);
    const gone = organisation.body.lines?.filter(({ project }) => project === "brief");
    assert.deepEqual(gone, after.body.lines);
    assert.equal((await ask("GET", "/organisations/acme/usage?month=2020-01")).body.lines?.length, 0);
    assert.equal((await ask("GET", "/organisations/acme/usage?month=2020-13")).status, 400);
    const own = await api.token("reports", "viewer", "shop");
    assert.equal((await api.ask(own, "GET", "/api/v1/projects/shop/usage")).status, 200);
    for (const path of ["/projects/store/usage", "/organisations/acme/usage"])
      assert.equal((await api.ask(own, "GET", `/api/v1${path}`)).status, 404);
  });

  test("are for the zone's administrators to set: a project's own may neither raise nor lift them", async () => {
    for (const role of ["admin", "operator"] as const) {
      const token = await api.token(`own-${role}`, role, "shop");
      for (const [method, path, body] of [
        ["PATCH", "/api/v1/projects/shop", { spec: { quota: null } }],
        ["PUT", "/api/v1/projects/shop", { spec: { organisation: "acme" } }],
      ] as const)
        assert.equal((await api.ask(token, method, path, body)).status, 403);
    }
  });
});

interface Reply {
  readonly revision?: number;
  readonly code?: string;
  readonly detail?: string;
  readonly remedy?: string;
  readonly errors?: readonly { readonly path: string }[];
  readonly quota?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly field: string;
    readonly month?: string;
    readonly after: number | string;
    readonly limit?: number | string;
  }[];
  readonly status?: {
    readonly usage?: Record<string, number>;
    readonly spend?: { readonly thisMonth: string; readonly nextMonth: string };
  };
  readonly lines?: readonly {
    readonly project: string;
    readonly vcpuSeconds: string;
    readonly cost?: { readonly vcpus: string };
  }[];
  readonly items?: readonly { readonly status?: { readonly usage?: Record<string, number> } }[];
}
