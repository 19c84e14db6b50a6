import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { ObservedInstance, ObservedVolume } from "@skerry/protocol";
import { overlappingRuns, readSimulatedRuns } from "../src/drivers/compute/simulated-runs.ts";
import { joinAgent } from "../src/join/join-agent.ts";
import type { AgentOptions } from "../src/options.ts";
import { eventually } from "./contract/deadline.ts";
import { AgentProcess } from "./gateway/agent-process.ts";
import { freePort } from "./gateway/free-port.ts";
import { TestGateway } from "./gateway/test-gateway.ts";
import { wantedInstance, wantedNetwork, wantedVolume, wish } from "./gateway/wishes.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;

/** A gateway and one joined agent with simulated drivers; everything goes with the scope. */
async function linkedAgent(change: Partial<AgentOptions> = {}) {
  const folder = await temporaryFolder();
  const gateway = await TestGateway.open();
  const { nodeId } = await joinAgent({ dataFolder: folder.path, server: gateway.url, token: gateway.joinToken() }, never);
  const agent = new AgentProcess({
    dataFolder: folder.path,
    driver: "simulated",
    dataAddress: "127.0.0.1",
    listenAddress: "127.0.0.1",
    dataPort: await freePort(),
    pollMs: 1000,
    reconnect: { minMs: 50, maxMs: 300, refusedMs: 300 },
    simulated: { bootMs: 50, shutdownMs: 50 },
    ...change,
  });
  agent.start();
  const volume = (id: string): ObservedVolume | undefined => gateway.answered(nodeId)?.volumes.find((each) => each.id === id);
  const instance = (id: string): ObservedInstance | undefined => gateway.answered(nodeId)?.instances.find((each) => each.id === id);
  return {
    folder,
    gateway,
    nodeId,
    agent,
    volume,
    instance,
    async [Symbol.asyncDispose]() {
      await agent.end("SIGKILL");
      await gateway.vanish();
      await folder.remove();
    },
  };
}

describe("an agent with simulated drivers", { concurrency: false }, () => {
  test("reports its facts, makes what is wanted, tells its health, and takes it away again", async () => {
    await using world = await linkedAgent();
    const { gateway, nodeId, volume, instance } = world;
    const facts = await eventually("the first report", () => gateway.nodes.get(nodeId)?.observed?.facts);
    assert.equal(facts.driver, "simulated");
    assert.ok(facts.capacity.memoryMiB > 0 && facts.capacity.diskMiB > 0 && facts.capacity.vcpus > 0);
    const image = randomBytes(300_000);
    const digest = `sha256:${createHash("sha256").update(image).digest("hex")}`;
    gateway.images.set(digest, image);
    gateway.cuts.push(100_000);
    const network = wantedNetwork();
    const disk = wantedVolume({ origin: { kind: "image", digest, sizeBytes: image.length, format: "raw" } });
    const nics = [{ networkId: network.id, mac: "02:00:00:00:00:01", address: "10.100.0.5/24", gateway: "10.100.0.1" }];
    const guest = wantedInstance(disk.id, { nics, healthCheck: { kind: "http", port: 80, path: "/" } });
    gateway.want(nodeId, wish(nodeId, { networks: [network], volumes: [disk], instances: [guest] }));
    const healthy = await eventually("the guest is healthy", () => (instance(guest.id)?.health === "healthy" ? instance(guest.id) : undefined));
    assert.equal(healthy.state, "running");
    assert.ok(healthy.bootMs !== undefined && healthy.bootMs >= 40 && healthy.bootMs < 5000, `bootMs ${healthy.bootMs}`);
    assert.equal(volume(disk.id)?.state, "ready");
    assert.deepEqual(gateway.imageOffsets, [0, 100_000], "the download went on where it was cut");

    gateway.want(
      nodeId,
      wish(nodeId, {
        networks: [{ ...network, presence: "absent" }],
        volumes: [{ ...disk, presence: "absent" }],
        instances: [{ ...guest, presence: "absent" }],
      }),
    );
    await eventually("all is gone", () => {
      const report = gateway.answered(nodeId);
      return (
        instance(guest.id)?.state === "absent" && volume(disk.id)?.state === "absent" && report?.networks.every((each) => each.state === "absent")
      );
    });
  });

  test("stops gracefully, starts again, reboots once for a number, and resizes when stopped", async () => {
    await using world = await linkedAgent();
    const { gateway, nodeId, instance, folder } = world;
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id);
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    const reach = async (change: Partial<typeof guest>, state: string) => {
      gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [{ ...guest, ...change }] }));
      return eventually(`${state} with ${JSON.stringify(change)}`, () => {
        const seen = instance(guest.id);
        return seen?.state === state && seen.rebootGeneration === (change.rebootGeneration ?? 0) ? seen : undefined;
      });
    };
    const first = await reach({}, "running");
    await reach({ power: "stopped" }, "stopped");
    await reach({ power: "stopped", generation: 2, vcpus: 2 }, "stopped");
    const second = await eventually("the new size is defined", () => (instance(guest.id)?.generation === 2 ? instance(guest.id) : undefined));
    assert.equal(second.generation, 2);
    await reach({ generation: 3, vcpus: 2 }, "running");
    const rebooted = await reach({ generation: 4, vcpus: 2, rebootGeneration: 1 }, "running");
    assert.notEqual(rebooted.startedAt, first.startedAt);
    const runs = readSimulatedRuns(join(folder.path, "simulated", "runs")).get(guest.id) ?? [];
    assert.equal(runs.length, 3);
    assert.deepEqual(overlappingRuns(runs), []);
  });

  test("kills a guest that does not shut down once its grace is over", async () => {
    await using world = await linkedAgent({ simulated: { bootMs: 0, shutdownMs: 0, ignoresShutdown: true } });
    const { gateway, nodeId, instance } = world;
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id, { stopGraceMs: 400 });
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [guest] }));
    await eventually("it runs", () => instance(guest.id)?.state === "running");
    const askedMs = performance.now();
    gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [{ ...guest, power: "stopped" }] }));
    await eventually("it is asked", () => instance(guest.id)?.state === "stopping");
    await eventually("it is stopped", () => instance(guest.id)?.state === "stopped");
    assert.ok(performance.now() - askedMs >= 400);
  });

  test("starts a guest again that ended by itself", async () => {
    await using world = await linkedAgent({ simulated: { bootMs: 0, shutdownMs: 0 } });
    const { gateway, nodeId, instance } = world;
    const disk = wantedVolume();
    const network = wantedNetwork();
    const nics = [{ networkId: network.id, mac: "02:00:00:00:00:01", address: "10.100.0.5/24", gateway: "10.100.0.1" }];
    const guest = wantedInstance(disk.id, { nics });
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { networks: [network], volumes: [disk], instances: [guest] }));
    const before = await eventually("it runs", () => (instance(guest.id)?.state === "running" ? instance(guest.id) : undefined));
    const port = await gateway.stream(nodeId, { kind: "port", instanceId: guest.id, port: 80 });
    port.write("GET /exit HTTP/1.0\r\n\r\n");
    port.resume();
    await once(port, "end");
    await eventually("it runs again", () => instance(guest.id)?.state === "running" && instance(guest.id)?.startedAt !== before.startedAt);
  });

  test("carries consoles, logs and ports through the control plane", async () => {
    await using world = await linkedAgent({ simulated: { bootMs: 0, shutdownMs: 0 } });
    const { gateway, nodeId, instance } = world;
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id);
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [guest] }));
    await eventually("it runs", () => instance(guest.id)?.state === "running");
    const console = await gateway.stream(nodeId, { kind: "console", instanceId: guest.id });
    let heard = "";
    console.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    console.write("hello\n");
    await eventually("the echo", () => heard.includes("hello"));
    console.end();
    const log = await gateway.stream(nodeId, { kind: "console-log", instanceId: guest.id, follow: false });
    let printed = "";
    log.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await once(log, "end");
    assert.match(printed, /Booting[^]*hello/);
    await assert.rejects(gateway.stream(nodeId, { kind: "port", instanceId: guest.id, port: 80 }), /no address/);
    await assert.rejects(gateway.stream(nodeId, { kind: "console", instanceId: "ins_01k00000000000000000000000" }), /not on this node/);
  });

  test("keeps guests running through its own death without a server, and does not start them anew", async () => {
    await using world = await linkedAgent({ simulated: { bootMs: 0, shutdownMs: 50 } });
    const { gateway, nodeId, instance, agent, folder } = world;
    const disks = [wantedVolume(), wantedVolume()];
    const guests = disks.map((disk) => wantedInstance(disk.id));
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { volumes: disks, instances: guests }));
    await eventually("both run", () => guests.every((guest) => instance(guest.id)?.state === "running"));
    const runsOf = () => readSimulatedRuns(join(folder.path, "simulated", "runs"));
    await gateway.vanish();
    await agent.end("SIGKILL");
    agent.start();
    // Without the server a guest that ends is started again: the journal alone says so.
    const exited = guests[0]?.id ?? "";
    await eventually("the agent is up without its server", async () => {
      const text = await import("node:fs/promises").then(({ readFile }) => readFile(join(folder.path, "agent.log"), "utf8"));
      return text.split("the agent runs").length > 2;
    });
    assert.deepEqual(guests.map((guest) => runsOf().get(guest.id)?.length), [1, 1]);
    await agent.end("SIGTERM");
    assert.deepEqual(guests.map((guest) => runsOf().get(guest.id)?.[0]?.stopsAtMs), [undefined, undefined], "guests outlive an agent that is stopped");
    await gateway.listen();
    agent.start();
    await eventually("both are reported running", () => guests.every((guest) => instance(guest.id)?.state === "running"), 15_000);
    assert.deepEqual(guests.map((guest) => runsOf().get(guest.id)?.length), [1, 1]);
    assert.ok(exited !== "");
  });

  test("never starts an instance of an older epoch, whatever the server says", async () => {
    await using world = await linkedAgent();
    const { gateway, nodeId, instance, folder } = world;
    const disk = wantedVolume({ epoch: 5 });
    const guest = wantedInstance(disk.id, { epoch: 5, power: "stopped" });
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { volumes: [disk], instances: [guest] }));
    await eventually("it is defined", () => instance(guest.id)?.state === "stopped");
    gateway.want(nodeId, wish(nodeId, { volumes: [{ ...disk, epoch: 4 }], instances: [{ ...guest, epoch: 4, power: "running" }] }));
    const refused = await eventually("it is refused", () => (instance(guest.id)?.error === undefined ? undefined : instance(guest.id)));
    assert.match(refused.error ?? "", /holds epoch 5; an order of epoch 4 is out of date/);
    assert.equal(refused.epoch, 5);
    assert.equal(readSimulatedRuns(join(folder.path, "simulated", "runs")).has(guest.id), false);
  });

  test("one bad object harms only itself", async () => {
    await using world = await linkedAgent();
    const { gateway, nodeId, instance, volume } = world;
    const missing = `sha256:${"0".repeat(64)}`;
    const bad = wantedVolume({ origin: { kind: "image", digest: missing, sizeBytes: 10, format: "raw" } });
    const lost = wantedVolume({ origin: { kind: "existing" } });
    const good = wantedVolume();
    const guest = wantedInstance(good.id);
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    gateway.want(nodeId, wish(nodeId, { volumes: [bad, lost, good], instances: [wantedInstance(bad.id), wantedInstance(lost.id), guest] }));
    await eventually("the good one runs", () => instance(guest.id)?.state === "running");
    await eventually("the bad one tells why", () => volume(bad.id)?.error !== undefined);
    assert.equal(volume(lost.id)?.state, "failed");
  });

  test("comes back after the server refused it or went away", async () => {
    await using world = await linkedAgent();
    const { gateway, nodeId } = world;
    await eventually("the link", () => gateway.nodes.get(nodeId)?.observed);
    const { links } = gateway.node(nodeId);
    gateway.refuses = "it is being tried";
    await gateway.vanish();
    await gateway.listen();
    gateway.refuses = undefined;
    await eventually("a new link", () => gateway.node(nodeId).links > links);
  });
});
