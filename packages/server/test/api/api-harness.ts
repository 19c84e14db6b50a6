import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LightMyRequestResponse } from "fastify";
import {
  kinds,
  makeId,
  type ApiTokenResource,
  type KindName,
  type RebalanceProposals,
  type ResourceOf,
} from "@skerry/model";
import { NodeFleet, Placer } from "@skerry/placement";
import { openSqliteStore, type Store } from "@skerry/store";
import { buildApi, type Api } from "../../src/api/app.ts";
import type { ApiDeps } from "../../src/api/deps.ts";
import { makeDraft } from "../../src/api/draft.ts";
import { formatApiToken } from "../../src/authorisation/api-token.ts";
import { mintSecret } from "../../src/authorisation/secret.ts";
import { FailureLimit } from "../../src/authorisation/failure-limit.ts";
import { RightsIndex } from "../../src/authorisation/rights-index.ts";
import { makeTokenWatch } from "../../src/authorisation/token-watch.ts";
import { openImageFiles } from "../../src/images/image-files.ts";
import { openAuthority, type Authority } from "../../src/pki/authority.ts";
import { ServerMetrics } from "../../src/metrics/server-metrics.ts";
import { RequestLimits } from "../../src/limits/request-limits.ts";
import { systemClock, type Clock } from "../../src/operations/clock.ts";
import { openSealer, type Sealer } from "../../src/secrets/sealer.ts";
import { AttemptLimit } from "../../src/sign-in/attempt-limit.ts";
import { noFirstStart } from "../../src/sign-in/first-start.ts";
import { PeopleIndex } from "../../src/sign-in/people-index.ts";
import { PasswordHasher } from "../../src/sign-in/password.ts";
import { requestOf } from "../../src/controllers/placing.ts";
import { plainIntents } from "./plain-intents.ts";

/** An API over a real store in a directory of its own, asked by injection: no socket is opened. */
export interface ApiHarness extends AsyncDisposable {
  readonly api: Api;
  readonly store: Store;
  readonly rights: RightsIndex;
  readonly people: PeopleIndex;
  readonly sealer: Sealer;
  readonly directory: string;
  /** What the server logged. */
  readonly logged: readonly unknown[];
  /** A token of the zone's admin. */
  readonly admin: string;
  token(name: string, role: string, project?: string, expiresAtMs?: number): Promise<string>;
  ask(
    token: string | undefined,
    method: Method,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
}

export type Method = "GET" | "PUT" | "PATCH" | "DELETE" | "POST";

export interface Answer {
  readonly status: number;
  readonly headers: LightMyRequestResponse["headers"];
  readonly text: string;
  /** What is at a path of the JSON body, such as `items.0.metadata.name`; undefined where there is nothing. */
  at(path: string): unknown;
  /** The same, where it must be text. */
  textAt(path: string): string;
  /** The same of each item of an array. */
  each(array: string, path: string): readonly unknown[];
}

/** What every test's API stands on; tests may replace parts of it. */
export interface BaseDeps extends ApiDeps {
  readonly authority: Authority;
}

export async function startApi(change: (base: BaseDeps) => Partial<ApiDeps> = () => ({})): Promise<ApiHarness> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-api-"));
  const clock = systemClock;
  const store = await openSqliteStore({ path: join(directory, "state.sqlite") });
  const sealer = await openSealer(join(directory, "sealing.key"));
  const rights = new RightsIndex(store);
  const people = new PeopleIndex(store);
  const tokens = makeTokenWatch(store, rights, clock);
  const logged: unknown[] = [];
  const note = (facts: object, message: string): void => void logged.push({ message, ...facts });
  const stopping = new AbortController();
  const base: BaseDeps = {
    store,
    sealer,
    tokens,
    rights,
    people,
    // Tests are wrong more often than a person; those of the limit itself bring their own.
    failures: new FailureLimit(clock, 100_000),
    attempts: new AttemptLimit(clock),
    // What it costs matters to nobody here.
    hasher: new PasswordHasher({ memoryKiB: 64, passes: 1 }),
    firstStart: noFirstStart,
    limits: new RequestLimits(clock),
    ratesOf: () => ({}),
    clock,
    authority: await openAuthority(join(directory, "pki"), () => clock.nowMs()),
    intents: plainIntents,
    images: await openImageFiles(join(directory, "images")),
    metrics: new ServerMetrics(store, () => true),
    gateway: { openStream: () => Promise.reject(new Error("no gateway in this test")) },
    freshen: (resource) => resource,
    seenAtMs: () => undefined,
    unreachable: () => undefined,
    usage: { changesIn: () => [] },
    spend: { of: () => assert.fail("nothing is limited in this test") },
    fleet: {
      in: () => [],
      snapshot: () => ({ revision: 0, placer: new Placer(new NodeFleet()) }),
      requestOf,
      withPeers: (_view, request) => request,
    },
    rebalancing: { propose: () => nothingToGain, begin: () => ({ proposals: nothingToGain }) },
    agentRoutes: [],
    log: { info: note, warn: note, error: note },
    makeId: (prefix) => makeId(prefix, clock.nowMs(), randomBytes(10)),
    version: "0.0.0-test",
    stopping: stopping.signal,
  };
  const api = await buildApi({ ...base, ...change(base) });

  const harness: Omit<ApiHarness, "admin" | typeof Symbol.asyncDispose> = {
    api,
    store,
    rights,
    people,
    sealer,
    directory,
    logged,
    token: (name, role, project, expiresAtMs) => putToken(store, clock, { name, role, project, expiresAtMs }),
    ask: async (token, method, path, body, headers = {}) => {
      const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      const response = await api.app.inject({
        method,
        url: path,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": contentType }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { payload: body instanceof Buffer || typeof body === "string" ? body : JSON.stringify(body) }),
      });
      return answerOf(response);
    },
  };
  return {
    ...harness,
    admin: await harness.token("root", "admin"),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await api.app.close();
      tokens.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

interface TokenWish {
  readonly name: string;
  readonly role: string;
  readonly project: string | undefined;
  readonly expiresAtMs: number | undefined;
}

async function putToken(store: Store, clock: Clock, wish: TokenWish): Promise<string> {
  const { secret, hash } = mintSecret();
  const { name, role, project, expiresAtMs } = wish;
  const spec: ApiTokenResource["spec"] = { role, ...(project === undefined ? {} : { project }) };
  const expiry = expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() };
  const token = draft("ApiToken", { name }, spec, { secretHash: hash, ...expiry }, clock.nowMs());
  await store.transact((tx) => tx.put(token));
  return formatApiToken({ id: token.metadata.id, secret });
}

/** A complete object to put into a store, beside the API. */
export function draft<K extends KindName>(
  kind: K,
  key: { readonly name: string; readonly project?: string },
  spec: ResourceOf<K>["spec"],
  status: ResourceOf<K>["status"],
  nowMs = 0,
): ResourceOf<K> {
  return makeDraft(kind, makeId(kinds[kind].prefix, nowMs, randomBytes(10)), key, { spec, status, labels: {} }, nowMs);
}

function answerOf({ statusCode, headers, body }: LightMyRequestResponse): Answer {
  const at = (path: string): unknown => valueAt(parse(body), path);
  return {
    status: statusCode,
    headers,
    text: body,
    at,
    textAt: (path) => {
      const value = at(path);
      if (typeof value !== "string") throw new TypeError(`${path} is not text in ${body.slice(0, 200)}`);
      return value;
    },
    each: (array, path) => {
      const items = at(array);
      if (!Array.isArray(items)) throw new TypeError(`${array} is not an array in ${body.slice(0, 200)}`);
      return items.map((item) => valueAt(item, path));
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not every answer is JSON.
    return undefined;
  }
}

function valueAt(root: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce(
      (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined) as unknown,
      root,
    );
}

const nothingToGain: RebalanceProposals = {
  ...{ objective: "balance", before: 0, after: 0, moves: [], hidden: 0, bytes: 0, lookedAt: 0 },
};

/** Specs that pass every kind's schema. */
export const specs = {
  Organisation: {},
  Project: { organisation: "acme" },
  Provider: { driver: "manual", country: "ES" },
  Site: { provider: "p1", country: "ES", latitude: 40.4, longitude: -3.7, tier: "cloud" },
  Node: { site: "s1" },
  Image: {
    digest: `sha256:${"0".repeat(64)}`,
    sizeBytes: 4,
    format: "qcow2",
    architecture: "x86_64",
    virtualSizeMiB: 16,
  },
  Volume: { sizeMiB: 8 },
  Network: { cidr: "10.1.0.0/24" },
  Instance: { vcpus: 1, memoryMiB: 64, image: "tiny" },
  JoinToken: { site: "s1" },
  ApiToken: { role: "viewer" },
  User: {},
  Group: { members: [] },
  ServiceAccount: {},
  DisruptionBudget: { maxUnavailable: 1 },
  Role: { policies: "permit (principal, action, resource);" },
  IdentityProvider: { issuer: "https://id.example", clientId: "skerry" },
  RoleBinding: { role: "viewer", subjects: [{ kind: "User", name: "ana" }] },
} as const;
