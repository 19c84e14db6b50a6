import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { describe, test } from "node:test";
import { protocolVersion } from "@skerry/protocol";
import { overlappingRuns, SimulatedRuns } from "../src/drivers/compute/simulated-runs.ts";
import { eventually } from "./contract/deadline.ts";
import { wantedInstance, wantedNetwork, wantedVolume } from "./gateway/wishes.ts";
import { onlyNode, openWorld } from "./gateway/world.ts";

describe("an agent with simulated drivers", { concurrency: false }, () => {
  test("reports its facts, makes what is wanted, tells its health, and takes it away again", async () => {
    await using world = await openWorld(1);
    const { gateway } = world;
    const node = onlyNode(world);
    const facts = await eventually("the first report", () => node.observed?.facts);
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
    node.want({ networks: [network], volumes: [disk], instances: [guest] });
    const healthy = await eventually("the guest is healthy", () =>
      node.instance(guest.id)?.health === "healthy" ? node.instance(guest.id) : undefined,
    );
    assert.equal(healthy.state, "running");
    assert.ok(
      healthy.bootMs !== undefined && healthy.bootMs >= 40 && healthy.bootMs < 5000,
      `bootMs ${healthy.bootMs}`,
    );
    assert.equal(node.volume(disk.id)?.state, "ready");
    assert.deepEqual(gateway.imageOffsets, [0, 100_000], "the download went on where it was cut");

    node.want({
      networks: [{ ...network, presence: "absent" }],
      volumes: [{ ...disk, presence: "absent" }],
      instances: [{ ...guest, presence: "absent" }],
    });
    await eventually("all is gone", () => {
      const report = gateway.answered(node.nodeId);
      return (
        node.instance(guest.id)?.state === "absent" &&
        node.volume(disk.id)?.state === "absent" &&
        report?.networks.every((each) => each.state === "absent")
      );
    });
  });

  test("stops gracefully, starts again, reboots once for a number, and resizes when stopped", async () => {
    await using world = await openWorld(1);
    const node = onlyNode(world);
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id);
    const reach = async (change: Partial<typeof guest>, state: string) => {
      node.want({ volumes: [disk], instances: [{ ...guest, ...change }] });
      return eventually(`${state} with ${JSON.stringify(change)}`, () => {
        const seen = node.instance(guest.id);
        return seen?.state === state && seen.rebootGeneration === (change.rebootGeneration ?? 0) ? seen : undefined;
      });
    };
    const first = await reach({}, "running");
    await reach({ power: "stopped" }, "stopped");
    await reach({ power: "stopped", generation: 2, vcpus: 2 }, "stopped");
    const second = await eventually("the new size is defined", () =>
      node.instance(guest.id)?.generation === 2 ? node.instance(guest.id) : undefined,
    );
    assert.equal(second.generation, 2);
    await reach({ generation: 3, vcpus: 2 }, "running");
    const rebooted = await reach({ generation: 4, vcpus: 2, rebootGeneration: 1 }, "running");
    assert.notEqual(rebooted.startedAt, first.startedAt);
    assert.equal(node.runs(guest.id).length, 3);
    assert.deepEqual(overlappingRuns(node.runs(guest.id)), []);
  });

  test("kills a guest that does not shut down once its grace is over", async () => {
    await using world = await openWorld(1, { simulated: { bootMs: 0, shutdownMs: 0, ignoresShutdown: true } });
    const node = onlyNode(world);
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id, { stopGraceMs: 1000 });
    node.want({ volumes: [disk], instances: [guest] });
    await eventually("it runs", () => node.instance(guest.id)?.state === "running");
    const askedMs = performance.now();
    node.want({ volumes: [disk], instances: [{ ...guest, power: "stopped" }] });
    await eventually("it is asked", () => node.instance(guest.id)?.state === "stopping");
    await eventually("it is stopped", () => node.instance(guest.id)?.state === "stopped");
    assert.ok(performance.now() - askedMs >= 1000);
  });

  test("starts a guest again that ended by itself", async () => {
    await using world = await openWorld(1, { simulated: { bootMs: 0, shutdownMs: 0 } });
    const { gateway } = world;
    const node = onlyNode(world);
    const disk = wantedVolume();
    const network = wantedNetwork();
    const nics = [{ networkId: network.id, mac: "02:00:00:00:00:01", address: "10.100.0.5/24", gateway: "10.100.0.1" }];
    const guest = wantedInstance(disk.id, { nics });
    node.want({ networks: [network], volumes: [disk], instances: [guest] });
    const before = await eventually("it runs", () =>
      node.instance(guest.id)?.state === "running" ? node.instance(guest.id) : undefined,
    );
    const port = await gateway.stream(node.nodeId, { kind: "port", instanceId: guest.id, port: 80 });
    port.write("GET /exit HTTP/1.0\r\n\r\n");
    port.resume();
    await once(port, "end");
    await eventually(
      "it runs again",
      () => node.instance(guest.id)?.state === "running" && node.instance(guest.id)?.startedAt !== before.startedAt,
    );
  });

  test("carries consoles, logs and ports through the control plane", async () => {
    await using world = await openWorld(1, { simulated: { bootMs: 0, shutdownMs: 0 } });
    const { gateway } = world;
    const node = onlyNode(world);
    const disk = wantedVolume();
    const guest = wantedInstance(disk.id);
    node.want({ volumes: [disk], instances: [guest] });
    await eventually("it runs", () => node.instance(guest.id)?.state === "running");
    const console = await gateway.stream(node.nodeId, { kind: "console", instanceId: guest.id });
    let heard = "";
    console.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    console.write("hello\n");
    await eventually("the echo", () => heard.includes("hello"));
    console.end();
    const log = await gateway.stream(node.nodeId, { kind: "console-log", instanceId: guest.id, follow: false });
    let printed = "";
    log.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await once(log, "end");
    assert.match(printed, /Booting[^]*hello/);
    await assert.rejects(gateway.stream(node.nodeId, { kind: "port", instanceId: guest.id, port: 80 }), /no address/);
    await assert.rejects(
      gateway.stream(node.nodeId, { kind: "console", instanceId: "ins_01k00000000000000000000000" }),
      /not on this node/,
    );
  });

  test("keeps guests running through its own death without a server, and starts only those that ended", async () => {
    await using world = await openWorld(1, { simulated: { bootMs: 0, shutdownMs: 50 } });
    const { gateway } = world;
    const node = onlyNode(world);
    const disks = [wantedVolume(), wantedVolume()];
    const guests = disks.map((disk) => wantedInstance(disk.id));
    const [kept = "", ended = ""] = guests.map((guest) => guest.id);
    node.want({ volumes: disks, instances: guests });
    await eventually("both run", () => guests.every((guest) => node.instance(guest.id)?.state === "running"));
    await gateway.vanish();
    await node.agent.end("SIGKILL");
    await new SimulatedRuns(node.path("simulated", "runs")).end(ended, Date.now());
    node.agent.start();
    // The journal alone says what should run.
    await eventually("the guest that ended runs again", () => node.runs(ended).length === 2);
    await eventually("it has missed its server", async () =>
      /the server cannot be reached/.test(await readFile(node.path("agent.log"), "utf8")),
    );
    assert.equal(await node.agent.end("SIGTERM"), 0);
    assert.equal(node.runs(ended).at(-1)?.stopsAtMs, undefined, "guests outlive an agent that is stopped");
    await gateway.listen();
    node.agent.start();
    await eventually(
      "both are reported running",
      () => guests.every((guest) => node.instance(guest.id)?.state === "running"),
      15_000,
    );
    assert.deepEqual([node.runs(kept).length, node.runs(ended).length], [1, 2]);
  });

  test("never starts an instance of an older epoch, whatever the server says", async () => {
    await using world = await openWorld(1);
    const node = onlyNode(world);
    const disk = wantedVolume({ epoch: 5 });
    const guest = wantedInstance(disk.id, { epoch: 5, power: "stopped" });
    node.want({ volumes: [disk], instances: [guest] });
    await eventually("it is defined", () => node.instance(guest.id)?.state === "stopped");
    node.want({ volumes: [{ ...disk, epoch: 4 }], instances: [{ ...guest, epoch: 4, power: "running" }] });
    const refused = await eventually("it is refused", () =>
      node.instance(guest.id)?.error === undefined ? undefined : node.instance(guest.id),
    );
    assert.match(refused.error ?? "", /holds epoch 5; an order of epoch 4 is out of date/);
    assert.equal(refused.epoch, 5);
    assert.deepEqual(node.runs(guest.id), []);
  });

  test("one bad object harms only itself", async () => {
    await using world = await openWorld(1);
    const node = onlyNode(world);
    const missing = `sha256:${"0".repeat(64)}`;
    const bad = wantedVolume({ origin: { kind: "image", digest: missing, sizeBytes: 10, format: "raw" } });
    const lost = wantedVolume({ origin: { kind: "existing" } });
    const good = wantedVolume();
    const guest = wantedInstance(good.id);
    node.want({ volumes: [bad, lost, good], instances: [wantedInstance(bad.id), wantedInstance(lost.id), guest] });
    await eventually("the good one runs", () => node.instance(guest.id)?.state === "running");
    await eventually("the bad one tells why", () => node.volume(bad.id)?.error !== undefined);
    assert.equal(node.volume(lost.id)?.state, "failed");
  });

  test("answers to new orders while slow work goes on, and ends slow work that is no longer wanted", async () => {
    await using world = await openWorld(1);
    const { gateway } = world;
    const node = onlyNode(world);
    const image = randomBytes(100_000);
    const digest = `sha256:${createHash("sha256").update(image).digest("hex")}`;
    gateway.images.set(digest, image);
    gateway.stalled.add(digest);
    const slow = wantedVolume({ origin: { kind: "image", digest, sizeBytes: image.length, format: "raw" } });
    node.want({ volumes: [slow] });
    await eventually("the download has begun", () => node.volume(slow.id)?.doneBytes === 1000);
    const quick = wantedVolume();
    node.want({ volumes: [slow, quick] });
    await eventually("the other is made meanwhile", () => node.volume(quick.id)?.state === "ready");
    assert.equal(node.volume(slow.id)?.state, "creating");
    node.want({ volumes: [{ ...slow, presence: "absent" }, quick] });
    await eventually("the slow one is gone", () => node.volume(slow.id)?.state === "absent");
  });

  test("is back about as soon as a server that is started again, however slow it is to ask one that fails it", async () => {
    const reconnect = { quickMs: 50, goodMs: 100, minMs: 30_000, maxMs: 60_000, refusedMs: 60_000 };
    await using world = await openWorld(1, { reconnect });
    const { gateway } = world;
    const node = onlyNode(world);
    const { links } = gateway.node(node.nodeId);
    const sinceMs = performance.now();
    await eventually("the link has been a good one", () => performance.now() - sinceMs > reconnect.goodMs);
    await gateway.vanish();
    await eventually("it has asked in vain", async () =>
      /the server cannot be reached/.test(await readFile(node.path("agent.log"), "utf8")),
    );
    await gateway.listen();
    await eventually("a new link", () => gateway.node(node.nodeId).links > links);
  });

  test("starts what needs a lease once the server has granted one, and says that it is in force", async () => {
    await using world = await openWorld(1);
    const { gateway } = world;
    const node = onlyNode(world);
    // What was granted before is gone with this agent's boot: as after a restart of the host.
    await node.agent.end("SIGKILL");
    gateway.grants = false;
    await rm(node.path("simulated", "leases"), { recursive: true });
    node.agent.start();
    const [disk, keptDisk] = [wantedVolume(), wantedVolume()];
    const leased = wantedInstance(disk.id, { lease: { seconds: 30 } });
    const kept = wantedInstance(keptDisk.id);
    node.want({ volumes: [disk, keptDisk], instances: [leased, kept] });
    await eventually("what is kept runs", () => node.instance(kept.id)?.state === "running");
    const { beats = 0 } = gateway.node(node.nodeId);
    await eventually("it asks again", () => (gateway.node(node.nodeId).beats ?? 0) > beats + 1);
    assert.deepEqual(node.runs(leased.id), []);
    gateway.grants = true;
    const seen = await eventually("it runs", () => {
      const instance = node.instance(leased.id);
      return instance?.state === "running" ? instance : undefined;
    });
    assert.equal(seen.leaseSeconds, 30);
    assert.equal(node.instance(kept.id)?.leaseSeconds, undefined);
    assert.ok((node.runs(leased.id).at(-1)?.leaseEndsAtMs ?? 0) > Date.now());
  });

  test("speaks the version of a server that is one older, and tells it of no devices", async () => {
    const gpu = { address: "0000:01:00.0", kind: "gpu", model: "10de:20b0", iommuGroup: 1 } as const;
    await using world = await openWorld(1, { simulated: { bootMs: 0, shutdownMs: 0, devices: [gpu] } });
    const { gateway } = world;
    const { nodeId } = onlyNode(world);
    assert.equal(gateway.node(nodeId).spoken, protocolVersion);
    const told = () => gateway.node(nodeId).observed?.facts.devices;
    assert.deepEqual(told()?.length, 1);
    await gateway.vanish();
    gateway.version = protocolVersion - 1;
    const { links } = gateway.node(nodeId);
    await gateway.listen();
    await eventually("a new link", () => gateway.node(nodeId).links > links);
    delete gateway.node(nodeId).observed;
    await eventually("a report", () => gateway.node(nodeId).observed);
    assert.equal(gateway.node(nodeId).spoken, protocolVersion - 1);
    assert.equal(told(), undefined);
  });

  test("begins a new link with a whole wanted state where it is sent a change of one that it does not have", async () => {
    await using world = await openWorld(1);
    const { gateway } = world;
    const node = onlyNode(world);
    const [disk, other] = [wantedVolume(), wantedVolume()];
    node.want({ volumes: [disk] });
    await eventually("a disk", () => node.volume(disk.id)?.state === "ready");
    const { links } = gateway.node(node.nodeId);
    gateway.miscount(node.nodeId);
    node.want({ volumes: [disk, other] });
    await eventually("both disks", () => node.volume(other.id)?.state === "ready");
    assert.equal(gateway.node(node.nodeId).links, links + 1);
    const guest = wantedInstance(disk.id);
    node.want({ volumes: [disk, other], instances: [guest] });
    await eventually("a guest, by a change", () => node.instance(guest.id)?.state === "running");
    assert.equal(gateway.node(node.nodeId).links, links + 1);
  });

  test("comes back after the server refused it or went away", async () => {
    await using world = await openWorld(1);
    const { gateway } = world;
    const node = onlyNode(world);
    const { links } = gateway.node(node.nodeId);
    gateway.refuses = "it is being tried";
    await gateway.vanish();
    await gateway.listen();
    await eventually("it is refused", () => gateway.refusals > 1);
    await eventually("its log says how to join anew", async () =>
      /"remedy":"[^"]*skerry agent join --server https:/.test(await readFile(node.path("agent.log"), "utf8")),
    );
    gateway.refuses = undefined;
    await eventually("a new link", () => gateway.node(node.nodeId).links > links);
  });
});
