import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openSimulatedCompute } from "../../src/drivers/compute/simulated.ts";
import { overlappingRuns, readSimulatedRuns } from "../../src/drivers/compute/simulated-runs.ts";
import { openSimulatedNetworks } from "../../src/drivers/network/simulated.ts";
import { readSimulatedHeader } from "../../src/drivers/simulated-disk.ts";
import { openSimulatedVolumes } from "../../src/drivers/volume/simulated.ts";
import { computeDriverContract } from "../contract/compute-contract.ts";
import { eventually } from "../contract/deadline.ts";
import { newId } from "../contract/ids.ts";
import { networkDriverContract } from "../contract/network-contract.ts";
import { volumeDriverContract } from "../contract/volume-contract.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const never = new AbortController().signal;

computeDriverContract("the simulated compute driver", async () => {
  const folder = await temporaryFolder();
  const volumes = await openSimulatedVolumes(join(folder.path, "volumes"));
  return {
    open: async () => openSimulatedCompute(folder.path, { bootMs: 20, shutdownMs: 20 }),
    async definition(id) {
      const volume = newId("vol");
      await volumes.createBlank(volume, 1, 8, never);
      const disks = [{ ...volumes.attachment(volume), readOnly: false }];
      return { id, epoch: 1, generation: 1, vcpus: 1, memoryMiB: 64, disks, nics: [] };
    },
    bootMs: 5000,
    bootText: /Booting/,
    conversation: { send: "hello\n", expect: /hello/ },
    http: { address: "10.0.0.2", port: 80 },
    close: () => folder.remove(),
  };
});

test("a simulated host's device is one guest's at a time, and only one that it has", async () => {
  await using folder = await temporaryFolder();
  const devices = [{ kind: "gpu" as const, model: "10de:20b0", address: "0000:41:00.0", iommuGroup: 17 }];
  const compute = openSimulatedCompute(folder.path, { shutdownMs: 0, devices });
  const guestWith = async (address: string): Promise<string> => {
    const id = newId("ins");
    const size = { vcpus: 1, memoryMiB: 64, disks: [], nics: [] };
    await compute.define({ id, epoch: 1, generation: 1, ...size, devices: [address] }, never);
    return id;
  };
  const [first, second] = [await guestWith("0000:41:00.0"), await guestWith("0000:41:00.0")];
  await compute.start(first, never);
  await assert.rejects(compute.start(second, never), new RegExp(`${first} has the device 0000:41:00.0`));
  await compute.kill(first, never);
  await compute.start(second, never);
  await assert.rejects(compute.start(await guestWith("0000:42:00.0"), never), /the host has no device 0000:42:00.0/);
});

volumeDriverContract("the simulated volume driver", async () => {
  const folder = await temporaryFolder();
  return {
    open: () => openSimulatedVolumes(join(folder.path, "volumes")),
    async image() {
      const path = join(folder.path, "image");
      await writeFile(path, randomBytes(100_000));
      return { path, format: "raw" };
    },
    close: () => folder.remove(),
  };
});

networkDriverContract("the simulated network driver", async () => {
  const folder = await temporaryFolder();
  return {
    open: () => openSimulatedNetworks(folder.path),
    overlay: { address: "100.64.0.1", prefixLength: 10, listenPort: 51_820, peers: [] },
    close: () => folder.remove(),
  };
});

test("a simulated guest's ticks are kept on its disk and its runs are kept after it is forgotten", async () => {
  await using folder = await temporaryFolder();
  const volumes = await openSimulatedVolumes(join(folder.path, "volumes"));
  const volume = newId("vol");
  await volumes.createBlank(volume, 1, 8, never);
  const compute = openSimulatedCompute(folder.path, { bootMs: 0, shutdownMs: 0 });
  const id = newId("ins");
  const disks = [{ ...volumes.attachment(volume), readOnly: false }];
  await compute.define({ id, epoch: 7, generation: 1, vcpus: 1, memoryMiB: 64, disks, nics: [] }, never);
  await compute.start(id, never);
  const stream = await compute.dial(id, "10.0.0.2", 80, never);
  stream.write("GET /tick HTTP/1.0\r\n\r\n");
  stream.resume();
  await eventually(
    "the tick is on the disk",
    async () => (await readSimulatedHeader(disks[0]?.path ?? "")).ticks === 1,
  );
  await compute.kill(id, never);
  await compute.undefine(id, never);
  const runs = readSimulatedRuns(join(folder.path, "runs")).get(id) ?? [];
  assert.equal(runs.length, 1);
  assert.equal(runs[0]?.epoch, 7);
  assert.ok((runs[0]?.stopsAtMs ?? 0) >= (runs[0]?.startedAtMs ?? Infinity));
});

test("runs that overlap are found, and runs that touch are not", () => {
  const run = (startedAtMs: number, stopsAtMs?: number) => ({
    epoch: 1,
    generation: 1,
    startedAtMs,
    ...(stopsAtMs === undefined ? {} : { stopsAtMs }),
  });
  assert.equal(overlappingRuns([run(0, 10), run(10, 20), run(20)]).length, 0);
  assert.equal(overlappingRuns([run(0, 11), run(10, 20)]).length, 1);
  assert.equal(overlappingRuns([run(0), run(10)]).length, 1);
});
