import assert from "node:assert/strict";
import type { InstanceResource, PlacementExplanation, PlacementSimulation } from "@skerry/model";
import { makeControllers, type Controllers } from "../../src/controllers/controllers.ts";
import { systemRandom } from "../../src/operations/random.ts";
import { create, nodeFacts, seedZone } from "../controllers/zone-fixture.ts";
import { startApi, type Answer, type ApiHarness, type BaseDeps, type Method } from "./api-harness.ts";

export const spec = { vcpus: 1, memoryMiB: 128, image: "islet", power: "stopped" as const };

/** The API with the server's own controllers: nodes mad-1, mad-2 (disk=ssd), par-1 and ath-1, the project `shop`, and `other` beside it. */
export class PlacementZone implements AsyncDisposable {
  readonly api: ApiHarness;
  readonly #base: BaseDeps;
  readonly #current: { controllers: Controllers };

  constructor(api: ApiHarness, base: BaseDeps, current: { controllers: Controllers }) {
    this.api = api;
    this.#base = base;
    this.#current = current;
  }

  get controllers(): Controllers {
    return this.#current.controllers;
  }

  /** Has work done by a server that has just begun. */
  async byAnother<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#current.controllers;
    this.#current.controllers = begin(this.#base);
    try {
      return await work();
    } finally {
      await this.#current.controllers.stop();
      this.#current.controllers = before;
    }
  }

  ask(method: Method, path: string, body?: unknown, token = this.api.admin): Promise<Answer> {
    return this.api.ask(token, method, `/api/v1${path}`, body);
  }

  async put(
    name: string,
    change: object = {},
    labels: Readonly<Record<string, string>> = {},
  ): Promise<InstanceResource> {
    const body = { metadata: { labels }, spec: { ...spec, ...change } };
    const answer = await this.ask("PUT", `/projects/shop/instances/${name}`, body);
    assert.equal(answer.status, 202, answer.text);
    return answer.at("resource") as InstanceResource;
  }

  async explain(name: string, token?: string): Promise<PlacementExplanation> {
    const answer = await this.ask("GET", `/projects/shop/instances/${name}/placement`, undefined, token);
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text) as PlacementExplanation;
  }

  async simulate(body: object, token?: string): Promise<PlacementSimulation> {
    const answer = await this.ask("POST", "/placement/simulations", body, token);
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text) as PlacementSimulation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controllers.stop();
    await this.api[Symbol.asyncDispose]();
  }
}

export async function openPlacementZone(): Promise<PlacementZone> {
  let base: BaseDeps | undefined;
  let current: { controllers: Controllers } | undefined;
  const api = await startApi((deps) => {
    base = deps;
    const running = (current = { controllers: begin(deps) });
    return {
      intents: running.controllers.intents,
      usage: running.controllers.usage,
      spend: running.controllers.spend,
      fleet: {
        in: (view) => running.controllers.fleet.in(view),
        snapshot: (revision) => running.controllers.fleet.snapshot(revision),
        requestOf: (...asked) => running.controllers.fleet.requestOf(...asked),
        withPeers: (...asked) => running.controllers.fleet.withPeers(...asked),
      },
      freshen: (resource) => running.controllers.freshen(resource),
    };
  });
  assert.ok(base !== undefined && current !== undefined);
  const { intents } = current.controllers;
  const nowMs = Date.now();
  await seedZone(api.store, intents, nowMs);
  await api.store.transact((tx) => {
    create(tx, intents, "Organisation", { name: "rival" }, {}, nowMs);
    create(tx, intents, "Project", { name: "other" }, { organisation: "rival" }, nowMs);
    create(tx, intents, "Node", { name: "mad-2", labels: { disk: "ssd" } }, { site: "madrid" }, nowMs);
    for (const node of tx.list("Node"))
      tx.put({ ...node, status: { ...node.status, connected: true, facts: nodeFacts } });
  });
  const zone = new PlacementZone(api, base, current);
  const sites = { madrid: 150, paris: 50, athens: 400 };
  for (const [site, carbonGramsPerKWh] of Object.entries(sites))
    assert.equal((await zone.ask("PATCH", `/sites/${site}`, { spec: { carbonGramsPerKWh } })).status, 200);
  return zone;
}

function begin(deps: BaseDeps): Controllers {
  return makeControllers({
    ...deps,
    random: systemRandom,
    provisioner: { steps: () => [] },
    openKey: () => undefined,
    authorityFingerprint: "",
    heartbeatMs: 60_000,
    monotonicMs: () => performance.now(),
    surelyLeads: () => true,
  });
}
