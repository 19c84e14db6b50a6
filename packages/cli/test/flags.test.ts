import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { imageFlags } from "../src/commands/image-flags.ts";
import { healthCheck, instanceFlags, latencyLimit, onDisconnect } from "../src/commands/instance-flags.ts";

const signal = new AbortController().signal;
const invalid = (error: unknown): boolean =>
  error instanceof SkerryError && error.code === "invalid-request" && error.remedy !== undefined;

describe("instance flags", () => {
  test("a latency limit names a place or coordinates", () => {
    assert.deepEqual(latencyLimit("madrid=20"), { from: "madrid", milliseconds: 20 });
    assert.deepEqual(latencyLimit("40.4,-3.7=15.5"), { from: { latitude: 40.4, longitude: -3.7 }, milliseconds: 15.5 });
    assert.throws(() => latencyLimit("madrid"), invalid);
  });

  test("weights are numbers of things that can be weighed", async () => {
    const weighing = (weight: string[]) => instanceFlags.spec({ image: "islet", vcpus: 1, memory: 96, weight }, signal);
    assert.deepEqual((await weighing(["carbon=1", "price=0.5"])).placement, { weights: { carbon: 1, price: 0.5 } });
    for (const bad of ["beauty=1", "carbon", "carbon=-1", "carbon=much"])
      await assert.rejects(weighing([bad]), invalid, bad);
  });

  test("a health check names a port, and for HTTP a path", () => {
    assert.deepEqual(healthCheck("http:80/ready"), { kind: "http", port: 80, path: "/ready" });
    assert.deepEqual(healthCheck("tcp:5432"), { kind: "tcp", port: 5432 });
    assert.throws(() => healthCheck("ping"), invalid);
  });

  test("what becomes of an instance without its node is kept, or a time within the limits", () => {
    assert.equal(onDisconnect("keep"), "keep");
    assert.deepEqual(onDisconnect("90s"), { replaceAfterSeconds: 90 });
    assert.deepEqual(onDisconnect("24h"), { replaceAfterSeconds: 86_400 });
    for (const text of ["29s", "25h", "90", "soon", "-5m"]) assert.throws(() => onDisconnect(text), invalid);
  });

  test("devices are GPUs by number, of a model where one is named, and others by model", async () => {
    const devices = async (flags: object) =>
      (await instanceFlags.spec({ image: "islet", vcpus: 1, memory: 96, ...flags }, signal)).devices;
    assert.deepEqual(await devices({ gpu: 2 }), [{ kind: "gpu", count: 2 }]);
    assert.deepEqual(await devices({ gpu: 1, gpuModel: "10de:20b0", pci: ["8086:1572=3"] }), [
      { kind: "gpu", count: 1, model: "10de:20b0" },
      { kind: "pci", model: "8086:1572", count: 3 },
    ]);
    assert.equal(await devices({}), undefined);
    for (const bad of [{ gpu: 0 }, { gpu: 1, gpuModel: "nvidia" }, { gpuModel: "10de:20b0" }, { pci: ["8086:1572"] }])
      await assert.rejects(devices(bad), invalid, JSON.stringify(bad));
  });

  test("only what was given reaches the spec", async () => {
    const spec = await instanceFlags.spec(
      { image: "islet", vcpus: 2, memory: 96, country: ["ES"], maxLatency: ["madrid=20"] },
      signal,
    );
    assert.deepEqual(spec, {
      image: "islet",
      vcpus: 2,
      memoryMiB: 96,
      placement: { countries: ["ES"], maxLatency: [{ from: "madrid", milliseconds: 20 }] },
    });
  });

  test("what is asked of others, by their labels, of law and of taints reaches the spec", async () => {
    const base = { image: "islet", vcpus: 1, memory: 96 };
    const asked = {
      affinity: ["apart:node:app=db,tier=x", "with:site:app=cache:0.5"],
      residency: ["ES"],
      tolerate: ["gpu=only"],
    };
    const { placement } = await instanceFlags.spec({ ...base, ...asked }, signal);
    assert.deepEqual(placement, {
      residency: ["ES"],
      tolerations: ["gpu=only"],
      affinity: [
        { relation: "apart", by: "node", labels: { app: "db", tier: "x" } },
        { relation: "with", by: "site", labels: { app: "cache" }, weight: 0.5 },
      ],
    });
    for (const term of [
      "apart",
      "apart:node",
      "near:node:app=db",
      "apart:rack:app=db",
      "apart:node:app=db:0",
      "apart:node:app=db:1:2",
    ])
      await assert.rejects(instanceFlags.spec({ ...base, affinity: [term] }, signal), invalid, term);
  });

  test("what the schema refuses is refused before anything is sent", async () => {
    await assert.rejects(instanceFlags.spec({ image: "../etc", vcpus: 1, memory: 96 }, signal), invalid);
    await assert.rejects(instanceFlags.spec({ image: "islet", vcpus: 0, memory: 96 }, signal), invalid);
  });
});

describe("image flags", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-test-"));
  });
  after(() => rm(folder, { recursive: true }));

  test("digest and sizes are read from the file", async () => {
    const file = join(folder, "a.qcow2");
    const header = Buffer.alloc(64);
    header.writeUInt32BE(0x51_46_49_fb, 0);
    header.writeBigUInt64BE(64n * 1024n * 1024n, 24);
    await writeFile(file, header);
    const spec = await imageFlags.spec({ file, format: "qcow2", architecture: "x86_64" }, signal);
    assert.equal(spec.virtualSizeMiB, 64);
    assert.equal(spec.sizeBytes, 64);
    assert.match(spec.digest, /^sha256:[0-9a-f]{64}$/);
  });

  test("a file that is not what the format says is refused with the way out", async () => {
    const file = join(folder, "b");
    await writeFile(file, "not an image at all, but long enough to have a header");
    await assert.rejects(imageFlags.spec({ file, format: "qcow2", architecture: "x86_64" }, signal), invalid);
    await assert.rejects(
      imageFlags.spec({ file: join(folder, "none"), format: "raw", architecture: "x86_64" }, signal),
      invalid,
    );
  });
});
