import assert from "node:assert/strict";
import { kindNames, kinds, withoutSecrets, type KindName } from "@skerry/model";
import type { ApiDeps } from "../../src/api/deps.ts";
import { startApi, type Answer, type ApiHarness, type Method } from "../api/api-harness.ts";
import { ModelFleet } from "../controllers/model-fleet.ts";
import { seedZone } from "../controllers/zone-fixture.ts";

/** An API over real intents, with model nodes that do what they are told; every change goes through the API. */
export interface UndoZone extends AsyncDisposable {
  readonly api: ApiHarness;
  readonly fleet: ModelFleet;
  /** Asks as the zone's admin, under /api/v1. */
  ask(method: Method, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** The same, which has to succeed, and all that follows from it; gives the revision by which it is undone. */
  change(method: Method, path: string, body?: unknown): Promise<Answer>;
  undo(of: object, query?: string, token?: string): Promise<Answer>;
  /** What clients wrote of everything, by kind and place, and where instances are. */
  snapshot(): Snapshot;
}

export type Snapshot = ReadonlyMap<string, object>;

/** Written by the server alone. */
const unwritten: ReadonlySet<KindName> = new Set(["Operation", "Meter"]);

export async function startUndoZone(): Promise<UndoZone> {
  let fleet: ModelFleet | undefined;
  let started: Promise<void> | undefined;
  const api = await startApi((base) => {
    fleet = new ModelFleet(base.store);
    started = fleet.startServer();
    const { intents, usage, spend, fleet: seats } = fleet.controllers;
    const freshen: ApiDeps["freshen"] = (resource) => fleet?.controllers.freshen(resource) ?? resource;
    return { intents, usage, spend, fleet: seats, freshen };
  });
  assert.ok(fleet !== undefined);
  const zone = fleet;
  await started;
  await seedZone(api.store, zone.controllers.intents, Date.now());
  zone.addNodes();
  await zone.calm();
  const ask: UndoZone["ask"] = (method, path, body, headers) =>
    api.ask(api.admin, method, `/api/v1${path}`, body, headers);
  return {
    api,
    fleet: zone,
    ask,
    async change(method, path, body) {
      const answer = await ask(method, path, body);
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
      await zone.calm();
      return answer;
    },
    undo: (of, query = "", token = api.admin) => api.ask(token, "POST", `/api/v1/undo${query}`, of),
    snapshot: () =>
      new Map(
        kindNames
          .filter((kind) => !unwritten.has(kind))
          .flatMap((kind) => api.store.list(kind))
          .map((object): [string, object] => {
            const { kind, metadata, spec } = withoutSecrets(object);
            const node = object.kind === "Instance" || object.kind === "Volume" ? object.assignment?.node : undefined;
            const place = kinds[kind].scope === "project" ? `${metadata.project}/${metadata.name}` : metadata.name;
            return [`${kind} ${place}`, { labels: metadata.labels, spec, ...(node === undefined ? {} : { node }) }];
          }),
      ),
    async [Symbol.asyncDispose]() {
      zone.killServer();
      await api[Symbol.asyncDispose]();
    },
  };
}
