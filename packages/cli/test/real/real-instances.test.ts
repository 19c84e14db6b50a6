import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SkerryError } from "@skerry/model";
import { makePair, surviveParting } from "../real-lease.ts";
import { makeMover, surviveTrouble, witness, type Trial } from "../real-move.ts";
import { watchWriters } from "../real-writers.ts";
import { nodeNames, processesOf, project, startRealZone, type NodeName, type RealZone } from "../real-zone.ts";
import { openSerialShell } from "../serial-shell.ts";
import { ended, eventually } from "../zone.ts";

/* Everything is real here: hosts provisioned over SSH, libvirt, QEMU guests, disks, networks with delay. */
describe("a zone of two provisioned hosts with QEMU guests", () => {
  let zone: RealZone;
  const key = { project, name: "life" };
  const mover = { project, name: "mover" };
  const shell = () => openSerialShell(zone.client, key);
  const instance = () => zone.client.get("Instance", key);
  const owner = async (): Promise<NodeName> => {
    const { assignment } = await instance();
    return nodeNames.find((name) => name === assignment?.node) ?? "alpha";
  };
  const succeeded = async (mutation: Parameters<typeof ended>[1]) => {
    const { status } = await ended(zone.client, mutation);
    assert.equal(status.state, "succeeded", JSON.stringify(status));
    return status;
  };
  /** Why libvirt has a domain as it is: `shutdown` by itself, `destroyed` by force. */
  const reason = async (): Promise<string> =>
    zone.inHost(await owner(), "virsh", "domstate", "--reason", (await instance()).metadata.id);

  before(async () => {
    zone = await startRealZone();
    await Promise.all([key, mover].map(({ name }) => makeMover(zone, name)));
  });
  after(() => zone.close());

  test("an instance runs with the address that it reports, passes its health check, and counts on its disk", async (context) => {
    const { status, metadata } = await instance();
    context.diagnostic(`provisioning ${JSON.stringify(zone.provisioningMs)} ms, boot ${status.bootMs} ms`);
    assert.equal(status.state, "running");
    assert.equal(status.health, "healthy");
    assert.equal(status.driver, "libvirt");
    const { greeting, address, boot } = await witness(zone, key);
    assert.equal(greeting, `hello from life ${metadata.id}`);
    assert.equal(address, `${status.addresses[0]?.address}/24`);
    assert.equal(boot, 1);
  });

  test("its console log tells what it printed, and its serial console takes commands", async () => {
    const log = await zone.client.openConsoleLog(key, { follow: false });
    let text = "";
    for await (const chunk of log.readable.pipeThrough(new TextDecoderStream())) text += chunk;
    assert.match(text, /GUEST-READY life ins_/);
    const serial = await shell();
    assert.equal(await serial.run("hostname"), "life");
    assert.equal(await serial.run("nproc"), "1");
    serial.close();
  });

  test("a resize is refused while it runs, with what to do instead", async () => {
    await assert.rejects(
      zone.client.patch("Instance", key, { spec: { vcpus: 2, memoryMiB: 160 } }),
      (error: SkerryError) => error.code === "conflict" && /skerry instance stop life/.test(error.remedy ?? ""),
    );
  });

  test("its process outlives its agent restarted and killed, and the server killed", async () => {
    const { metadata, status } = await instance();
    const pids = await processesOf(metadata.id);
    assert.equal(pids.length, 1);
    const node = await owner();
    await zone.inHost(node, "systemctl", "restart", "skerry-agent");
    await zone.killAgent(node);
    await zone.killServer();
    // What is seen from before would do as well as what is seen anew, but for the time of the report.
    const since = Date.now();
    const again = await eventually("it is reported again", async () => {
      const seen = await instance();
      const reported = Date.parse(seen.status.seenAt ?? "") > since && seen.status.state === "running";
      return reported && seen;
    });
    assert.deepEqual(await processesOf(metadata.id), pids);
    assert.equal(again.status.startedAt, status.startedAt);
    await eventually("it answers", () => witness(zone, key));
  });

  test("stopped gracefully and grown, it starts again with its data, and sees its new processors and memory", async () => {
    const was = await witness(zone, key);
    await succeeded(await zone.client.action("Instance", key, "stop"));
    assert.match(await reason(), /shut off \(shutdown\)/);
    assert.equal((await instance()).status.state, "stopped");
    assert.deepEqual(await processesOf((await instance()).metadata.id), []);
    await succeeded(await zone.client.patch("Instance", key, { spec: { vcpus: 2, memoryMiB: 160 } }));
    await succeeded(await zone.client.action("Instance", key, "start"));
    const is = await witness(zone, key);
    assert.deepEqual([is.data, is.boot], [was.data, was.boot + 1]);
    assert.ok(is.tick >= was.tick);
    const serial = await shell();
    assert.equal(await serial.run("nproc"), "2");
    const [, kibibytes] = /^MemTotal: +(\d+) kB$/m.exec(await serial.run("cat /proc/meminfo")) ?? [];
    assert.ok(Number(kibibytes) > 110 * 1024 && Number(kibibytes) < 160 * 1024, kibibytes);
    serial.close();
  });

  test("rebooted, it comes back with its data", async () => {
    const { status } = await instance();
    const was = await witness(zone, key);
    await succeeded(await zone.client.action("Instance", key, "reboot"));
    const is = await witness(zone, key);
    assert.deepEqual([is.data, is.boot, is.address], [was.data, was.boot + 1, was.address]);
    assert.notEqual((await instance()).status.startedAt, status.startedAt);
  });

  test("deaf to the power button, it is stopped hard after its grace", async () => {
    const serial = await shell();
    // First the script, which would take the end of what it waits for as the button.
    await serial.run("kill -9 $(ps | awk '/rc.power|dev.input/ && !/awk/ { print $1 }')");
    serial.close();
    const from = performance.now();
    await succeeded(await zone.client.action("Instance", key, "stop", { graceSeconds: 4 }));
    assert.ok(performance.now() - from >= 4000);
    assert.match(await reason(), /shut off \(destroyed\)/);
  });

  test("deleted, it leaves neither domain nor disk nor interface on its host", async () => {
    const { metadata } = await instance();
    const node = await owner();
    assert.match(await zone.inHost(node, "virsh", "--quiet", "list", "--all", "--name"), new RegExp(metadata.id));
    const others = (await zone.client.get("Instance", mover)).assignment?.node === node ? 1 : 0;
    await succeeded(await zone.client.delete("Instance", key));
    assert.doesNotMatch(
      await zone.inHost(node, "virsh", "--quiet", "list", "--all", "--name"),
      new RegExp(metadata.id),
    );
    const disks = (await zone.kept(node, "volumes")).filter((name) => name.endsWith(".qcow2"));
    assert.equal(disks.length, others);
    for (const folder of ["guests", "seeds"])
      assert.ok(!(await zone.kept(node, folder)).some((name) => name.startsWith(metadata.id)), folder);
    const links = JSON.parse(await zone.inHost(node, "ip", "-j", "link")) as { readonly ifname: string }[];
    assert.equal(links.filter(({ ifname }) => ifname.startsWith("vnet")).length, others);
    await assert.rejects(instance(), { code: "not-found" });
  });

  test("a drain of its node takes it to the other with its data, says what that took, and keeps the node closed until it is uncordoned", async (context) => {
    const before = await witness(zone, mover);
    const from = (await zone.client.get("Instance", mover)).assignment?.node ?? "alpha";
    const drain = { verb: "action", action: "drain", input: { onBlocked: "skip" } } as const;
    const { moves } = await zone.client.plan("Node", { name: from }, drain);
    assert.ok(moves?.moves.some(({ instance: name }) => name === "mover"));
    const { operation } = await zone.client.action("Node", { name: from }, "drain", drain.input);
    const name = operation?.metadata.name ?? assert.fail("nothing was begun");
    const { status } = await zone.client.waitForOperation(name, () => undefined, AbortSignal.timeout(300_000));
    const { result } = status;
    context.diagnostic(`planned ${JSON.stringify(moves)}, came to ${JSON.stringify(result)}`);
    assert.equal(result?.["complete"], true);
    assert.equal(Number(result?.["moved"]), moves?.moves.length);
    assert.notEqual((await zone.client.get("Instance", mover)).assignment?.node, from);
    const is = await eventually("it answers", () => witness(zone, mover));
    assert.deepEqual([is.data, is.address], [before.data, before.address]);
    const host = from === "beta" ? "beta" : "alpha";
    assert.equal((await zone.inHost(host, "virsh", "--quiet", "list", "--all", "--name")).trim(), "");
    await assert.rejects(zone.client.action("Instance", mover, "migrate", { toNode: from }), { code: "no-placement" });
    await zone.client.patch("Node", { name: from }, { spec: { schedulable: null } });
    const back = { verb: "action", action: "migrate", input: { toNode: from } } as const;
    assert.ok((await zone.client.plan("Instance", mover, back)).changes.length > 0);
  });

  // One of each kind, where a copy could be lost or doubled; all pairs follow nightly.
  const trials: readonly Trial[] = [
    { trouble: "owner", step: "copy" },
    { trouble: "reset", step: "copy" },
    { trouble: "target", step: "switch" },
    { trouble: "server", step: "release" },
  ];
  for (const trial of trials)
    test(`a move with trouble (${trial.trouble}) at its step ${trial.step} ends with one guest, which has its data`, async (context) => {
      const from = performance.now();
      const { state, problem, result } = await surviveTrouble(zone, mover, trial);
      context.diagnostic(
        `${state} ${problem ?? ""} ${Math.round(performance.now() - from)} ms ${JSON.stringify(result)}`,
      );
    });

  // The agent dead, the host frozen, and seeds of trouble follow nightly.
  test("one that may be replaced is ended by its node, which nothing reaches, before another starts it; what is kept runs on", async (context) => {
    await using watch = watchWriters(zone);
    const pair = await makePair(zone);
    let mend: () => Promise<void>;
    const times = await surviveParting(zone, watch, pair, {
      part: async (node) => {
        mend = await zone.cutOff(node);
      },
      reunite: () => mend(),
    });
    context.diagnostic(JSON.stringify(times));
  });
});
