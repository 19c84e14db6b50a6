import { kinds, makeId, type ImageResource, type KindName, type NodeFacts, type ResourceOf } from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import { makeDraft } from "../../src/api/draft.ts";
import type { IntentContext, IntentOutcome, IntentTable, KindIntents } from "../../src/intents.ts";

/* A small zone, made through the intents as the API would. */

export const nodeFacts: NodeFacts = {
  hostname: "host",
  operatingSystem: "Debian 12",
  kernel: "6.1",
  architecture: "x86_64",
  driver: "simulated",
  accelerator: "simulated",
  agentVersion: "0.1.0",
  capacity: { vcpus: 8, memoryMiB: 8192, diskMiB: 100_000 },
  dataEndpoint: "192.0.2.1:7070",
  overlayEndpoint: "192.0.2.1:51820",
  overlayPublicKey: `${"a".repeat(43)}=`,
  versions: {},
};

export function contextAt(nowMs: number): IntentContext {
  return {
    actor: "test",
    cause: "test",
    nowMs,
    makeId: (prefix) => makeId(prefix, nowMs, crypto.getRandomValues(new Uint8Array(10))),
  };
}

export interface Wish {
  readonly name: string;
  readonly project?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Creates an object within a transaction, as the API does after its checks. */
export function create<K extends KindName>(
  tx: Transaction,
  intents: IntentTable,
  kind: K,
  wish: Wish,
  spec: ResourceOf<K>["spec"],
  nowMs: number,
): IntentOutcome {
  const context = contextAt(nowMs);
  const intent = intents[kind] as unknown as KindIntents<K>;
  const { labels = {}, ...key } = wish;
  const draft = makeDraft(
    kind,
    context.makeId(kinds[kind].prefix),
    key,
    { spec, labels, status: intent.initialStatus },
    nowMs,
  );
  return intent.create(tx, draft, context);
}

/** Replaces an object's spec within a transaction, as the API does. */
export function update<K extends KindName>(
  tx: Transaction,
  intents: IntentTable,
  before: ResourceOf<K>,
  spec: Partial<ResourceOf<K>["spec"]>,
  nowMs: number,
): IntentOutcome {
  const intent = intents[before.kind as K] as unknown as KindIntents<K>;
  const metadata = { ...before.metadata, generation: before.metadata.generation + 1 };
  return intent.update(tx, before, { ...before, metadata, spec: { ...before.spec, ...spec } }, contextAt(nowMs));
}

export function act<K extends KindName>(
  tx: Transaction,
  intents: IntentTable,
  resource: ResourceOf<K>,
  action: string,
  input: Readonly<Record<string, unknown>>,
  nowMs: number,
): IntentOutcome {
  const intent = (intents[resource.kind as K] as unknown as KindIntents<K>).actions[action];
  if (intent === undefined) throw new Error(`there is no action ${action}`);
  return intent.run(tx, resource, input, contextAt(nowMs));
}

const sites = [
  { provider: "iberica", country: "ES", site: "madrid", node: "mad-1", latitude: 40.4, longitude: -3.7 },
  { provider: "gallia", country: "FR", site: "paris", node: "par-1", latitude: 48.9, longitude: 2.4 },
  { provider: "hellas", country: "GR", site: "athens", node: "ath-1", latitude: 38, longitude: 23.7 },
] as const;

/** Three providers with a site and a node each, a project with a ready image and a network. Nodes have not reported yet. */
export async function seedZone(store: Store, intents: IntentTable, nowMs: number, count = 3): Promise<void> {
  await store.transact((tx) => {
    create(tx, intents, "Organisation", { name: "acme" }, {}, nowMs);
    create(tx, intents, "Project", { name: "shop" }, { organisation: "acme" }, nowMs);
    for (const { provider, country, site, node, latitude, longitude } of sites.slice(0, count)) {
      create(tx, intents, "Provider", { name: provider }, { driver: "manual", country }, nowMs);
      create(tx, intents, "Site", { name: site }, { provider, country, latitude, longitude, tier: "near-edge" }, nowMs);
      create(tx, intents, "Node", { name: node }, { site }, nowMs);
      const stored = tx.get("Node", { name: node });
      if (stored !== undefined) tx.put({ ...stored, status: { ...stored.status, publicKey: `key of ${node}` } });
    }
    const image = create(tx, intents, "Image", { name: "islet", project: "shop" }, imageSpec, nowMs)
      .resource as ImageResource;
    tx.put({ ...image, status: { state: "ready" } });
    create(tx, intents, "Network", { name: "lan", project: "shop" }, { cidr: "10.20.0.0/24" }, nowMs);
  });
}

export const imageSpec: ImageResource["spec"] = {
  digest: `sha256:${"a".repeat(64)}`,
  sizeBytes: 4_000_000,
  format: "qcow2",
  architecture: "x86_64",
  virtualSizeMiB: 64,
};

export const instanceSpec: ResourceOf<"Instance">["spec"] = {
  vcpus: 1,
  memoryMiB: 96,
  image: "islet",
  networks: ["lan"],
  healthCheck: { kind: "http", port: 80 },
};
