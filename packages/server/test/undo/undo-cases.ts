import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { KindName } from "@skerry/model";
import { draft, specs, type Answer } from "../api/api-harness.ts";
import { imageSpec, instanceSpec } from "../controllers/zone-fixture.ts";
import type { UndoZone } from "./undo-zone.ts";

/** One verb of one kind, as somebody asks for it over the API. */
export interface UndoCase {
  /** Makes what has to be there. */
  prepare?(zone: UndoZone): Promise<unknown>;
  ask(zone: UndoZone): Promise<Answer>;
  /** Whether the undo can be undone. */
  readonly redo?: false;
}

/** Nobody may ask for it: that it is refused is the whole case. */
export interface ClosedCase {
  readonly closed: (zone: UndoZone) => Promise<Answer>;
}

export type UndoCases = Readonly<Record<string, UndoCase | ClosedCase>>;

const content = Buffer.from("islet");
const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
const fresh = { ...imageSpec, digest, sizeBytes: content.length };
const shop = "/projects/shop";
const web = `${shop}/instances/web`;
const labels = { metadata: { labels: { tier: "front" } } };
const ssh = { driver: "ssh", country: "PT", ssh: { user: "root", privateKey: "a key" } };

const put =
  (path: string, spec: object) =>
  (zone: UndoZone): Promise<Answer> =>
    zone.change("PUT", path, { spec, ...labels });
const patch =
  (path: string, body: object) =>
  (zone: UndoZone): Promise<Answer> =>
    zone.change("PATCH", path, body);
const remove =
  (path: string) =>
  (zone: UndoZone): Promise<Answer> =>
    zone.change("DELETE", path);
const post =
  (path: string, body = {}) =>
  (zone: UndoZone): Promise<Answer> =>
    zone.change("POST", path, body);
const refused =
  (method: "PUT" | "PATCH" | "DELETE", path: string) =>
  (zone: UndoZone): Promise<Answer> =>
    zone.ask(method, path, method === "DELETE" ? undefined : { spec: {} });

const makeWeb = put(web, instanceSpec);
const stopWeb = async (zone: UndoZone): Promise<void> => {
  await makeWeb(zone);
  await zone.change("POST", `${web}:stop`, {});
};

/** What is made, changed and deleted alike: nothing but the store has it. */
function plain(path: string, spec: object, change: object): UndoCases {
  return {
    create: { ask: put(path, spec) },
    update: {
      prepare: put(path, spec),
      ask: patch(path, { ...change, metadata: { labels: { tier: "back", more: "1" } } }),
    },
    delete: { prepare: put(path, spec), ask: remove(path) },
  };
}

const closed = (path: string): UndoCases => ({
  create: { closed: refused("PUT", path) },
  update: { closed: refused("PATCH", path) },
  delete: { closed: refused("DELETE", path) },
});

const nova = { driver: "manual", country: "PT" } as const;
const porto = { ...specs.Site, provider: "iberica", city: "Porto" };
const makeAna = put("/users/ana", {});

/** Every verb of every kind; what is expected of each, the rules themselves say. */
export const undoCases: { readonly [K in KindName]: UndoCases } = {
  Organisation: plain("/organisations/umbrella", { displayName: "Umbrella" }, { spec: { quota: { vcpus: 3 } } }),
  Project: plain(
    "/projects/store",
    { organisation: "acme" },
    { spec: { displayName: "Store", quota: { instances: 2 } } },
  ),
  Provider: {
    ...plain("/providers/nova", nova, { spec: { sovereigntyLevel: 3, schedulable: false } }),
    evacuate: { prepare: put("/providers/nova", nova), ask: post("/providers/nova:evacuate") },
  },
  Site: {
    ...plain("/sites/porto", porto, {
      spec: { city: null, carbonGramsPerKWh: 12, prices: [{ from: "2026-01", currency: "EUR", vcpuHour: "0.1" }] },
    }),
    evacuate: { prepare: put("/sites/porto", porto), ask: post("/sites/porto:evacuate") },
  },
  Node: {
    ...plain("/nodes/por-1", { site: "madrid" }, { spec: { schedulable: false } }),
    drain: { prepare: put("/nodes/por-1", { site: "madrid" }), ask: post("/nodes/por-1:drain") },
    provision: {
      async prepare(zone) {
        await put("/providers/metal", ssh)(zone);
        await put("/sites/porto", { ...specs.Site, provider: "metal" })(zone);
        await put("/nodes/por-1", { site: "porto", address: "192.0.2.1" })(zone);
      },
      ask: post("/nodes/por-1:provision"),
    },
  },
  Image: {
    ...plain(`${shop}/images/fresh`, fresh, { spec: { description: "new", minMemoryMiB: 32 } }),
    upload: {
      prepare: put(`${shop}/images/fresh`, fresh),
      ask: (zone) =>
        zone.ask("PUT", `${shop}/images/fresh/content`, content, { "content-type": "application/octet-stream" }),
    },
  },
  Volume: {
    create: { closed: (zone) => zone.ask("PUT", `${shop}/volumes/data`, { spec: specs.Volume }) },
    update: { prepare: makeWeb, ask: patch(`${shop}/volumes/web`, labels) },
    delete: {
      prepare: ({ api }) =>
        api.store.transact((tx) =>
          tx.put(draft("Volume", { project: "shop", name: "left" }, specs.Volume, { state: "ready", conditions: [] })),
        ),
      ask: remove(`${shop}/volumes/left`),
    },
  },
  Network: plain(`${shop}/networks/wan`, { cidr: "10.77.0.0/24" }, { spec: { egress: true, cidr: "10.78.0.0/24" } }),
  Instance: {
    create: { ask: makeWeb, redo: false },
    update: {
      prepare: stopWeb,
      ask: patch(web, {
        metadata: { labels: { tier: null, a: "b" } },
        spec: { vcpus: 2, healthCheck: null, placement: { countries: ["ES", "FR", "GR"] }, onDisconnect: "keep" },
      }),
    },
    delete: { prepare: makeWeb, ask: remove(web) },
    start: { prepare: stopWeb, ask: post(`${web}:start`) },
    stop: { prepare: makeWeb, ask: post(`${web}:stop`) },
    reboot: { prepare: makeWeb, ask: post(`${web}:reboot`) },
    migrate: { prepare: makeWeb, ask: post(`${web}:migrate`) },
  },
  Operation: {
    ...closed("/operations/opr-1"),
    cancel: {
      prepare: makeWeb,
      async ask(zone) {
        const begun = await zone.ask("POST", `${web}:migrate`, {});
        const answer = await zone.ask("POST", `/operations/${begun.textAt("operation.metadata.name")}:cancel`, {});
        await zone.fleet.calm();
        return answer;
      },
    },
  },
  JoinToken: {
    ...plain("/join-tokens/door", { site: "madrid" }, {}),
    create: { ask: put("/join-tokens/door", { site: "madrid" }), redo: false },
  },
  ApiToken: {
    ...plain("/api-tokens/robot", { role: "viewer" }, { spec: { description: "for the robot" } }),
    create: { ask: put("/api-tokens/robot", { role: "viewer" }), redo: false },
  },
  User: {
    ...plain("/users/ana", { displayName: "Ana" }, { spec: { disabled: true } }),
    link: {
      async prepare(zone) {
        await makeAna(zone);
        await put("/identity-providers/corp", specs.IdentityProvider)(zone);
      },
      ask: post("/users/ana:link", { identityProvider: "corp", subject: "s-1" }),
    },
    invite: { prepare: makeAna, ask: post("/users/ana:invite") },
    credentials: {
      prepare: makeAna,
      async ask(zone) {
        const { store } = zone.api;
        await store.transact(
          (tx) => {
            const ana = tx.get("User", { name: "ana" }) ?? assert.fail();
            tx.put({ ...ana, status: { credentials: { recoveryHashes: ["a"] } } });
          },
          { actor: { kind: "User", name: "ana" }, cause: "POST /api/v1/own" },
        );
        return zone.ask("GET", "/users/ana");
      },
    },
  },
  IdentityProvider: plain("/identity-providers/corp", specs.IdentityProvider, { spec: { createsUsers: true } }),
  Group: {
    ...plain("/groups/crew", { members: [] }, { spec: { description: "all" } }),
    update: {
      async prepare(zone) {
        await makeAna(zone);
        await put("/groups/crew", { members: [] })(zone);
      },
      ask: patch("/groups/crew", { spec: { members: ["ana"] } }),
    },
  },
  ServiceAccount: plain(`${shop}/service-accounts/bot`, {}, { spec: { disabled: true } }),
  Role: plain(
    "/roles/reader",
    { policies: `permit (principal, action == Skerry::Action::"read", resource);` },
    { spec: { description: "reads" } },
  ),
  RoleBinding: {
    create: { prepare: makeAna, ask: put("/role-bindings/ana", specs.RoleBinding) },
    update: {
      async prepare(zone) {
        await makeAna(zone);
        await put("/users/ben", {})(zone);
        await put("/role-bindings/ana", specs.RoleBinding)(zone);
      },
      ask: patch("/role-bindings/ana", { spec: { subjects: [{ kind: "User", name: "ben" }] } }),
    },
    delete: {
      async prepare(zone) {
        await makeAna(zone);
        await put("/role-bindings/ana", specs.RoleBinding)(zone);
      },
      ask: remove("/role-bindings/ana"),
    },
  },
  Meter: closed(`${shop}/meters/m`),
  DisruptionBudget: plain(
    `${shop}/disruption-budgets/web`,
    { maxUnavailable: 1 },
    { spec: { maxUnavailable: 2, selector: { app: "web" } } },
  ),
};

/** By what an answer's change is undone. */
export function revisionOf(answer: Answer): number {
  const revision = answer.at("revision") ?? answer.at("metadata.revision");
  assert.ok(typeof revision === "number", `no revision in ${answer.text}`);
  return revision;
}
