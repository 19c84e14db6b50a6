/**
 * Durable single-object transactions per second: the SQLite store against bare SQLite that commits the same rows with
 * the same durability, in the same run on the same disk, with 1 and with 8 x 16 outstanding. Keeps its samples in
 * bench/results/store.json.
 *
 *   node bench/store.ts [--runs 5] [--seconds 2] [--folder PATH] [--json]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { describeMachine } from "@skerry/testkit";
import { makeId } from "@skerry/model";
import type { InstanceResource } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    folder: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const millisecondsPerRun = Number(values.seconds) * 1000;
const objects = 10_000;
const time = "2026-01-01T00:00:00.000Z";

/** An instance of usual size, about 1 KB of JSON. */
function instance(serial: number): InstanceResource {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, serial);
  const name = `web-${serial}`;
  return {
    kind: "Instance",
    metadata: {
      name,
      project: `project-${serial % 20}`,
      id: makeId("ins", 0, random),
      revision: 0,
      generation: 1,
      labels: { app: "web", tier: "front" },
      createdAt: time,
      updatedAt: time,
    },
    spec: {
      vcpus: 2,
      memoryMiB: 2048,
      image: "debian-12",
      diskMiB: 10_240,
      networks: ["front", "back"],
      power: "running",
      healthCheck: { kind: "http", port: 80, path: "/healthz" },
      placement: { countries: ["ES", "FR"] },
    },
    assignment: {
      node: `mad-${serial % 50}`,
      nodeId: makeId("nod", 0, random),
      epoch: 1,
      since: time,
      reason: "mad-1: free 3 vCPU and 20 GiB, 4 ms modelled from Madrid; 2 of 3 nodes fit",
    },
    status: {
      state: "running",
      health: "healthy",
      startedAt: time,
      seenAt: time,
      driver: "libvirt",
      accelerator: "kvm",
      addresses: [{ network: "front", address: "10.0.0.2", mac: "52:54:00:00:00:02" }],
      conditions: [{ type: "Ready", state: "true", reason: "HealthCheckPassed", changedAt: time }],
    },
  };
}

/** Which object each transaction changes: a seeded walk (xorshift32). */
function makeWalk(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % objects;
  };
}

interface Sample {
  readonly perSecond: number;
  /** Of the waits for an acknowledgement; for bare SQLite of whole commits. */
  readonly medianMs: number;
  readonly p99Ms: number;
}

function sampleOf(transactions: number, elapsedMs: number, waitsMs: number[]): Sample {
  const sorted = waitsMs.sort((a, b) => a - b);
  const at = (part: number): number => Number((sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(3));
  return { perSecond: Math.round((transactions / elapsedMs) * 1000), medianMs: at(0.5), p99Ms: at(0.99) };
}

async function withStore<T>(
  path: string,
  work: (run: (outstanding: number) => Promise<Sample>) => Promise<T>,
): Promise<T> {
  const store = await openSqliteStore({ path });
  const all = Array.from({ length: objects }, (_, serial) => instance(serial));
  await store.transact((tx) => {
    for (const object of all) tx.put(object);
  });
  const pick = makeWalk(1);
  let generation = 1;
  try {
    return await work(async (outstanding) => {
      const waits: number[] = [];
      const start = performance.now();
      const end = start + millisecondsPerRun;
      const write = async (): Promise<void> => {
        for (let now = performance.now(); now < end; now = performance.now()) {
          const id = all[pick()]?.metadata.id ?? "";
          await store.transact((tx) => {
            const object = tx.getById("Instance", id);
            if (object === undefined) throw new Error(`${id} is gone`);
            tx.put({ ...object, metadata: { ...object.metadata, generation: ++generation } });
          });
          waits.push(performance.now() - now);
        }
      };
      await Promise.all(Array.from({ length: outstanding }, write));
      return sampleOf(waits.length, performance.now() - start, waits);
    });
  } finally {
    await store.close();
  }
}

function withSqlite<T>(path: string, work: (run: (perCommit: number) => Sample) => T): T {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  db.exec("CREATE TABLE objects (id TEXT NOT NULL PRIMARY KEY, name TEXT, revision INTEGER, body TEXT)");
  db.exec("CREATE TABLE changes (revision INTEGER PRIMARY KEY, id TEXT, name TEXT, body TEXT)");
  const put = db.prepare(
    `INSERT INTO objects (id, name, revision, body) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, revision = excluded.revision, body = excluded.body`,
  );
  const log = db.prepare("INSERT INTO changes (revision, id, name, body) VALUES (?, ?, ?, ?)");
  const rows = Array.from({ length: objects }, (_, serial) => {
    const object = instance(serial);
    return { id: object.metadata.id, name: object.metadata.name, body: JSON.stringify(object) };
  });
  let revision = 0;
  const write = (row: (typeof rows)[number] | undefined): void => {
    if (row === undefined) throw new Error("no such row");
    put.run(row.id, row.name, ++revision, row.body);
    log.run(revision, row.id, row.name, row.body);
  };
  db.exec("BEGIN");
  for (const row of rows) write(row);
  db.exec("COMMIT");
  const pick = makeWalk(1);
  try {
    return work((perCommit) => {
      const waits: number[] = [];
      const start = performance.now();
      const end = start + millisecondsPerRun;
      for (let now = start; now < end; now = performance.now()) {
        db.exec("BEGIN IMMEDIATE");
        for (let count = 0; count < perCommit; count++) write(rows[pick()]);
        db.exec("COMMIT");
        waits.push(performance.now() - now);
      }
      return sampleOf(waits.length * perCommit, performance.now() - start, waits);
    });
  } finally {
    db.close();
  }
}

function summary(samples: readonly Sample[]): { median: number; max: number; samples: readonly Sample[] } {
  const sorted = samples.map((sample) => sample.perSecond).sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0, samples };
}

const folder = mkdtempSync(join(values.folder, "skerry-bench-"));
try {
  const results = [];
  for (const outstanding of [1, 128]) {
    const store: Sample[] = [];
    const bare: Sample[] = [];
    for (let run = 0; run < runs; run++) {
      // In turn, so that both meet the same disturbances.
      bare.push(withSqlite(join(folder, `bare-${outstanding}-${run}.db`), (measure) => measure(outstanding)));
      store.push(await withStore(join(folder, `store-${outstanding}-${run}.db`), (measure) => measure(outstanding)));
    }
    const [ours, theirs] = [summary(store), summary(bare)];
    results.push({
      outstanding,
      store: ours,
      bareSqlite: theirs,
      ratio: Number((ours.median / theirs.median).toFixed(2)),
    });
  }
  const machine = describeMachine();
  const residentMiB = Math.round(process.memoryUsage().rss / 2 ** 20);
  const report = {
    benchmark: "store",
    date: new Date().toISOString(),
    machine,
    loadAverage: loadavg(),
    objects,
    residentMiB,
    results,
  };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  const kept = join(import.meta.dirname, "results", "store.json");
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(kept, text);
  if (values.json) {
    process.stdout.write(text);
  } else {
    for (const { outstanding, store, bareSqlite, ratio } of results) {
      const wait = store.samples[Math.floor(store.samples.length / 2)];
      process.stdout.write(
        `${String(outstanding).padStart(4)} outstanding: ${store.median} durable transactions/s (max ${store.max}), ` +
          `wait p50 ${wait?.medianMs} ms p99 ${wait?.p99Ms} ms; bare SQLite ${bareSqlite.median}/s (max ${bareSqlite.max}); ratio ${ratio}\n`,
      );
    }
    process.stdout.write(
      `${objects} objects of 1 KB, ${runs} runs of ${values.seconds} s, ${residentMiB} MiB resident at the end\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
