import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { joinAgent, runAgent } from "@skerry/agent";
import { SkerryError, type DeviceWish, type InstanceResource, type NodeDevice } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { startServer, type RunningServer } from "@skerry/server";
import { imageFlags } from "../src/commands/image-flags.ts";
import { eventually, freePorts } from "./zone.ts";

const project = "lab";
const gpu = (address: string, functions?: string[]): NodeDevice => ({
  ...{ kind: "gpu", model: "10de:20b0", address, iommuGroup: 17 },
  ...(functions === undefined ? {} : { functions }),
});
/** What two simulated hosts have to give. */
const devices = { alpha: [gpu("0000:41:00.0", ["0000:41:00.1"])], beta: [gpu("0000:81:00.0")] } as const;

/* A server and agents with simulated drivers, in one process, over the real link between them. */
describe("devices, from a host's facts to its guests", { timeout: 120_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let client: Client;
  const stop = new AbortController();
  const agents: Promise<void>[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-devices-"));
    server = await startServer(
      {
        dataDir: join(folder, "server"),
        listen: [{ host: "127.0.0.1", port: 0 }],
        ...{ advertise: [], version: "0.0.0-test", writeLog: () => undefined },
        bundleAgent: () => Promise.reject(new Error("nothing is provisioned here")),
      },
      new AbortController().signal,
    );
    const token = (await readFile(server.adminTokenFile, "utf8")).trim();
    client = createNodeClient({ server: server.url, token, authority: await readFile(server.caFile, "utf8") });
    await client.put("Organisation", { name: "lab" }, { spec: {} });
    await client.put("Project", { name: project }, { spec: { organisation: "lab" } });
    await client.put("Provider", { name: "own" }, { spec: { driver: "manual", country: "ES" } });
    const site = { provider: "own", country: "ES", latitude: 40, longitude: -3, tier: "cloud" } as const;
    await client.put("Site", { name: "here" }, { spec: site });
    const file = join(folder, "image.raw");
    await writeFile(file, randomBytes(100_000));
    const flags = { file, format: "raw", architecture: "x86_64" };
    const spec = await imageFlags.spec(flags, AbortSignal.timeout(10_000));
    await client.put("Image", { project, name: "disk" }, { spec });
    const bytes = Readable.toWeb(Readable.from([await readFile(file)])) as ReadableStream<Uint8Array>;
    await client.uploadImage({ project, name: "disk" }, bytes, 100_000);
    const [first = 0, second = 0] = await freePorts(2);
    await Promise.all([addAgent("alpha", first), addAgent("beta", second)]);
    await eventually(
      "both nodes report",
      async () => (await client.listAll("Node")).filter(({ status }) => status.facts !== undefined).length === 2,
    );
  });
  after(async () => {
    stop.abort();
    await Promise.allSettled(agents);
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function addAgent(name: keyof typeof devices, port: number): Promise<void> {
    const dataFolder = join(folder, name);
    const { secret = "" } = await client.put("JoinToken", { name }, { spec: { site: "here", node: name } });
    await joinAgent({ dataFolder, server: server.url, token: secret }, stop.signal);
    const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const simulated = { bootMs: 0, shutdownMs: 0, devices: devices[name] };
    const options = { dataFolder, driver: "simulated", dataAddress: `127.0.0.1:${port}`, simulated } as const;
    agents.push(runAgent(options, silent, stop.signal));
  }

  const ask = (name: string, wishes: DeviceWish[]) =>
    client.put("Instance", { project, name }, { spec: { vcpus: 1, memoryMiB: 64, image: "disk", devices: wishes } });
  const running = (name: string, isSo: (instance: InstanceResource) => boolean = () => true) =>
    eventually(`${name} runs`, async () => {
      const instance = await client.get("Instance", { project, name });
      const isIdle = (await client.listAll("Operation")).every(({ status }) => status.endedAt !== undefined);
      return instance.status.state === "running" && isIdle && isSo(instance) ? instance : undefined;
    });
  /** As the simulated hypervisor has its guest defined. */
  const definedWith = async (instance: InstanceResource): Promise<unknown> => {
    const at = join(folder, instance.assignment?.node ?? "", "simulated", "definitions");
    assert.ok((await readdir(at)).includes(`${instance.metadata.id}.json`));
    return (JSON.parse(await readFile(join(at, `${instance.metadata.id}.json`), "utf8")) as { devices?: unknown })
      .devices;
  };
  const addressesAt = (node: string): readonly string[] =>
    devices[node as keyof typeof devices].flatMap(({ address, functions = [] }) => [address, ...functions]);
  const isRefused = (error: unknown): boolean => error instanceof SkerryError && error.code === "no-placement";

  test("are told, given, kept to one each, and others after a move", async () => {
    assert.deepEqual((await client.get("Node", { name: "alpha" })).status.facts?.devices, devices.alpha);
    await Promise.all([ask("one", [{ kind: "gpu" }]), ask("two", [{ kind: "gpu", model: "10de:20b0" }])]);
    const [one, two] = [await running("one"), await running("two")];
    assert.notEqual(one.assignment?.node, two.assignment?.node);
    for (const each of [one, two]) {
      assert.deepEqual(await definedWith(each), addressesAt(each.assignment?.node ?? ""));
    }
    const size = { project, vcpus: 1, memoryMiB: 64 };
    const foreseen = await client.simulatePlacement({
      instances: [{ project, name: "one" }],
      requests: [
        { ...size, name: "any", devices: [{ kind: "gpu", model: "10de:20b0" }] },
        { ...size, name: "none" },
      ],
    });
    const outcomes = Object.fromEntries(foreseen.placements.map(({ name, now }) => [name, now]));
    assert.match(outcomes["any"]?.outcome === "refused" ? (outcomes["any"].reason ?? "") : "", /10de:20b0/);
    assert.deepEqual([outcomes["none"]?.outcome, outcomes["one"]?.outcome], ["placed", "placed"]);
    await assert.rejects(ask("three", [{ kind: "gpu" }]), isRefused);
    const to = two.assignment?.node ?? "";
    await assert.rejects(client.action("Instance", { project, name: "one" }, "migrate", { toNode: to }), isRefused);
    await client.delete("Instance", { project, name: "two" });
    await eventually("two is gone", async () => (await client.listAll("Instance", { project })).length === 1);
    await client.action("Instance", { project, name: "one" }, "migrate", { toNode: to });
    const moved = await running(
      "one",
      ({ assignment }) => assignment?.node === to && assignment.movingTo === undefined,
    );
    assert.deepEqual(await definedWith(moved), addressesAt(to));
    await ask("three", [{ kind: "gpu" }]);
    assert.equal((await running("three")).assignment?.node, one.assignment?.node);
  });
});
