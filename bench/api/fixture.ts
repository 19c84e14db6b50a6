/*
 * A zone as a benchmark finds it: sites, linked nodes, projects with a network each, and instances with their volumes. Written
 * as rows, so that a million of them take seconds.
 */
import { generateKeyPairSync } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import {
  kinds,
  makeId,
  type InstanceResource,
  type KindName,
  type ResourceOf,
  type VolumeResource,
} from "@skerry/model";
import { startServer } from "@skerry/server";
import { openSqliteStore } from "@skerry/store";

const time = "2026-01-01T00:00:00.000Z";
const startMs = Date.UTC(2026, 0, 1);

/** A node's key, as its side of the link needs it. */
export interface FleetNode {
  readonly id: string;
  readonly name: string;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
}

export interface Fixture {
  readonly nodes: readonly FleetNode[];
  readonly projects: number;
}

/** Of usual size: three commands and a file. */
export const userData = `#cloud-config
hostname: web
package_update: false
write_files:
  - path: /etc/app.conf
    content: |
      listen = 0.0.0.0:80
      upstream = 10.0.0.1:8080
runcmd:
  - [systemctl, enable, --now, app]
  - [sh, -c, "echo ready > /run/ready"]
`;

let serial = 0;

/** Ids that sort in order of their making, as the server's do. */
function nextId(prefix: string): string {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, ++serial);
  return makeId(prefix, startMs, random);
}

function draft<K extends KindName>(
  kind: K,
  name: string,
  project: string | undefined,
  spec: ResourceOf<K>["spec"],
  status: ResourceOf<K>["status"],
): ResourceOf<K> {
  const id = nextId(kinds[kind].prefix);
  const place = project === undefined ? {} : { project };
  const metadata = {
    name,
    ...place,
    id,
    revision: 0,
    generation: 1,
    labels: {},
    createdAt: time,
    updatedAt: time,
  };
  return { kind, metadata, spec, status } as unknown as ResourceOf<K>;
}

const capacity = { vcpus: 10_000_000, memoryMiB: 2_000_000_000, diskMiB: 2_000_000_000 };

export function facts(hostname: string) {
  return {
    hostname,
    operatingSystem: "Debian 12",
    kernel: "6.1",
    architecture: "x86_64",
    driver: "simulated",
    accelerator: "simulated",
    agentVersion: "0.0.0-bench",
    capacity,
    versions: {},
  } as const;
}

/** Address number `index` of a project's network. */
function addressOf(index: number): string {
  return `10.20.${(index + 2) >> 8}.${(index + 2) & 255}`;
}

/** State is refused without keys: a server that ran for a moment has made them. */
async function makeKeys(dataDir: string): Promise<void> {
  const options = { dataDir, listen: [{ host: "127.0.0.1", port: 0 }], advertise: [], version: "0.0.0-bench" };
  const server = await startServer({ ...options, writeLog: () => undefined }, new AbortController().signal);
  await server.close();
  for (const suffix of ["", "-wal", ".seen"]) rmSync(join(dataDir, `state.db${suffix}`), { force: true });
}

/** Makes a zone in `dataDir` as a server does, and fills it with `instances` on `nodeCount` nodes, a thousand at most in each project. */
export async function seed(dataDir: string, instances: number, nodeCount = 100): Promise<Fixture> {
  const path = join(dataDir, "state.db");
  await makeKeys(dataDir);
  const projects = Math.max(100, Math.ceil(instances / 1000));
  const store = await openSqliteStore({ path });
  const nodes: FleetNode[] = [];
  await store.transact((tx) => {
    tx.put(draft("Organisation", "acme", undefined, {}, {}));
    tx.put(draft("Provider", "iberica", undefined, { driver: "manual", country: "ES" }, { conditions: [] }));
    const site = { provider: "iberica", country: "ES", latitude: 40.4, longitude: -3.7, tier: "near-edge" } as const;
    tx.put(draft("Site", "madrid", undefined, site, {}));
    for (let index = 0; index < nodeCount; index++) {
      const name = `mad-${index}`;
      const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
        publicKeyEncoding: { format: "der", type: "spki" },
        privateKeyEncoding: { format: "pem", type: "pkcs8" },
      });
      const status = {
        publicKey: publicKey.toString("base64"),
        overlayIndex: index + 1,
        facts: facts(name),
        connected: false,
        conditions: [],
      };
      const node = tx.put(draft("Node", name, undefined, { site: "madrid" }, status));
      nodes.push({ id: node.metadata.id, name, privateKey });
    }
    for (let index = 0; index < projects; index++) {
      const project = `p${index}`;
      tx.put(draft("Project", project, undefined, { organisation: "acme" }, {}));
      const status = { vni: 10_000 + index, conditions: [] };
      tx.put(draft("Network", "lan", project, { cidr: "10.20.0.0/16" }, status));
    }
    const image = { digest: `sha256:${"a".repeat(64)}`, sizeBytes: 4_000_000, format: "qcow2", architecture: "x86_64" };
    const spec = { ...image, virtualSizeMiB: 64, shared: true } as ResourceOf<"Image">["spec"];
    tx.put(draft("Image", "debian", "p0", spec, { state: "ready" }));
  });
  let { revision } = store;
  await store.close();

  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN");
  const put = db.prepare(
    "INSERT OR REPLACE INTO objects (kind, id, project, name, revision, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const log = db.prepare(
    "INSERT INTO changes (revision, kind, id, project, name, type, body, time_ms, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const total = 2 * instances;
  const firstLogged = revision + total - 2000;
  let sums = 0;
  let count = 0;
  const write = (object: ResourceOf<KindName>): void => {
    revision++;
    const { kind, metadata } = object;
    const body = JSON.stringify({ ...object, metadata: { ...metadata, revision } });
    const { id, name, project = null } = metadata;
    const sum = crc32(`${kind}\0${id}\0${project ?? ""}\0${name}\0${revision}\0${body}`);
    sums = (sums + sum) >>> 0;
    count++;
    put.run(kind, id, project, name, revision, body, sum);
    if (revision > firstLogged) log.run(revision, kind, id, project, name, "created", body, startMs, sum);
  };
  // In the order of primary keys, which is what the pages of a file that grew by itself come to.
  const made: InstanceResource[] = [];
  const flush = (): void => {
    for (const object of made) write(object);
    for (const { metadata, assignment } of made.splice(0)) {
      const { name, project } = metadata;
      const spec = { sizeMiB: 10_240, image: "p0/debian", instance: name };
      const volume = draft("Volume", name, project, spec, { state: "ready", seenAt: time, conditions: [] });
      write({ ...volume, assignment: { ...assignment, filled: true } } as VolumeResource);
    }
  };
  for (let index = 0; index < instances; index++) {
    const owner = index % projects;
    const place = nodes[index % nodes.length];
    const object = instance(`web-${index}`, `p${owner}`, addressOf(Math.floor(index / projects)), place);
    made.push(object);
    if (made.length === 5000) flush();
  }
  flush();
  // What the store has counted so far, and these.
  const before = String(db.prepare("SELECT value FROM meta WHERE name = 'objects-total'").get()?.["value"]).split(" ");
  const totals = `${Number(before[0]) + count} ${(Number(before[1]) + sums) >>> 0}`;
  db.prepare("UPDATE meta SET value = ? WHERE name = 'objects-total'").run(totals);
  db.exec("COMMIT");
  db.close();
  return { nodes, projects };
}

/** About 1.3 KB of JSON. */
function instance(name: string, project: string, address: string, node: FleetNode | undefined): InstanceResource {
  const status = {
    state: "running",
    health: "healthy",
    startedAt: time,
    seenAt: time,
    driver: "simulated",
    accelerator: "simulated",
    observedGeneration: 1,
    addresses: [{ network: "lan", address, mac: "02:54:00:00:00:02" }],
    conditions: [],
  } as InstanceResource["status"];
  const made = draft("Instance", name, project, { ...instanceSpec, userData }, status);
  return {
    ...made,
    metadata: { ...made.metadata, labels: { app: "web", tier: "front" } },
    assignment: {
      node: node?.name ?? "",
      nodeId: node?.id ?? "",
      epoch: 1,
      since: time,
      reason: `${node?.name}: free 9999000 vCPU and 1953125 GiB; 100 of 100 nodes fit`,
    },
  };
}

/** One volume and one network interface. */
export const instanceSpec: InstanceResource["spec"] = {
  vcpus: 1,
  memoryMiB: 512,
  image: "p0/debian",
  diskMiB: 10_240,
  networks: ["lan"],
  power: "running",
};
