import assert from "node:assert/strict";
import { readFile, readlink, stat } from "node:fs/promises";
import { describe, test } from "node:test";
import { gatewayMac, networkDevices } from "../../src/drivers/network/linux/naming.ts";
import { openLinuxNetworks } from "../../src/drivers/network/linux/linux-networks.ts";
import { eventually } from "../contract/deadline.ts";
import { newId } from "../contract/ids.ts";
import { networkDriverContract } from "../contract/network-contract.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { makeMachine } from "./machine.ts";
import {
  carry,
  listen,
  makeLab,
  networkPackages,
  newNetwork,
  overlayOf,
  plugGuest,
  snapshot,
  type LabNode,
} from "./network-lab.ts";
import { enterOwnNamespaces } from "./own-namespaces.ts";

enterOwnNamespaces(import.meta.url, networkPackages);

const never = new AbortController().signal;

networkDriverContract("the linux network driver", async () => {
  const machine = await makeMachine();
  const folder = await temporaryFolder();
  return {
    open: async () => openLinuxNetworks({ folder: folder.path, run: machine.run }),
    overlay: {
      address: "100.64.0.1",
      prefixLength: 10,
      listenPort: 51_820,
      peers: [
        {
          nodeId: newId("nod"),
          publicKey: Buffer.alloc(32, 9).toString("base64"),
          endpoint: "192.0.2.9:51820",
          address: "100.64.0.9",
        },
      ],
    },
    async close() {
      await machine[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
});

describe("networks across two nodes", () => {
  test("carry whole packets between guests, encrypted, and every node is the gateway for its own", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork();
    const { bridge } = networkDevices(network.id);
    await carry(lab.nodes, network);
    await using one = await plugGuest(a, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await using two = await plugGuest(b, bridge, { address: "10.213.7.12", gateway: network.gateway });

    await eventually("a first ping", () => one.reaches(two.address), 15_000, 100);
    assert.ok(
      await one.reaches(two.address, "-M", "do", "-s", String(1370 - 28)),
      "the network's whole MTU passes unfragmented",
    );
    assert.ok(!(await one.reaches(two.address, "-M", "do", "-s", String(1370 - 27))), "and not a byte more");
    assert.ok(await a.reaches(b.overlay, "-M", "do", "-s", "1392"), "the overlay's whole MTU too");

    assert.ok(await one.reaches(network.gateway));
    assert.ok(await two.reaches(network.gateway));
    assert.match(await one.do("ip neigh show"), new RegExp(`${network.gateway} .*${gatewayMac(network.vni)}`));

    // Without its own node's gateway a guest has none: the other node's does not answer across.
    await a.do(`ip addr delete ${network.gateway}/24 dev ${bridge}`);
    await one.do("ip neigh flush all");
    assert.ok(!(await one.reaches(network.gateway)));
    assert.ok(await two.reaches(network.gateway));
    assert.ok(await one.reaches(two.address));
    await carry(lab.nodes, network);
    await eventually("the gateway is back with the next wish", () => one.reaches(network.gateway), 5000);
  });

  test("are left alone by a wish that is already so, also after a restart", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork({ egress: true });
    await carry(lab.nodes, network);
    const wish = { ...network, remotes: [b.overlay] };
    const before = await snapshot(a);
    await a.driver.ensureOverlay(await overlayOf(a, lab.nodes), never);
    await a.driver.ensureNetwork(wish, never);
    assert.equal(await snapshot(a), before);
    const again = a.reopen();
    await again.ensureOverlay(await overlayOf(a, lab.nodes), never);
    await again.ensureNetwork(wish, never);
    assert.equal(await snapshot(a), before);
  });

  test("are mended where somebody changed what the driver made", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork();
    const { bridge, vxlan } = networkDevices(network.id);
    await carry(lab.nodes, network);
    const wish = { ...network, remotes: [b.overlay] };
    const before = await snapshot(a);
    for (const damage of [
      `ip link set dev ${vxlan} down`,
      `ip link set dev ${vxlan} nomaster`,
      `ip link set dev ${bridge} mtu 1300`,
      `ip addr add 10.213.9.1/24 dev ${bridge}`,
      `bridge fdb append 00:00:00:00:00:00 dev ${vxlan} dst 100.64.0.99`,
      `bridge fdb delete 00:00:00:00:00:00 dev ${vxlan} dst ${b.overlay}`,
      "nft flush chain inet skerry input",
      "nft flush set inet skerry carriers",
      "nft delete table bridge skerry",
    ]) {
      await a.do(damage);
      await a.driver.ensureNetwork(wish, never);
      // Rules that were loaded again are the same rules, in a table that may have come anew.
      const mended = (await snapshot(a)).split("\n").sort();
      assert.deepEqual(mended, before.split("\n").sort(), damage);
    }
  });

  test("get their rules back when another program flushed them, as soon as the node looks", async () => {
    await using lab = await makeLab(1);
    const [a] = lab.nodes as [LabNode];
    await a.driver.ensureNetwork(newNetwork({ egress: true, remotes: ["100.64.0.9"] }), never);
    await a.driver.ensureNetwork(newNetwork({ vni: 4712 }), never);
    const before = (await a.do("nft -s list ruleset")).split("\n").sort();
    await a.do("nft flush ruleset");
    await a.driver.list(never);
    assert.deepEqual((await a.do("nft -s list ruleset")).split("\n").sort(), before);
  });

  test("no longer reach a node that is no remote any more, nor does it reach them", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork();
    const { bridge, vxlan } = networkDevices(network.id);
    await carry(lab.nodes, network);
    await using one = await plugGuest(a, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await using two = await plugGuest(b, bridge, { address: "10.213.7.12", gateway: network.gateway });
    await eventually("a first ping", () => one.reaches(two.address), 15_000, 100);

    // The other node still sends; this one must not take it.
    const [mac] = /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(await one.do("ip -br link show dev eth0")) ?? [];
    await a.driver.ensureNetwork({ ...network, remotes: [] }, never);
    assert.doesNotMatch(await a.do(`bridge fdb show dev ${vxlan}`), /dst/);
    await two.do(`ip neigh replace ${one.address} lladdr ${mac ?? ""} dev eth0`);
    const before = await one.received();
    assert.ok(!(await two.reaches(one.address)));
    assert.equal(await one.received(), before, "not one packet came through");
    await a.driver.ensureNetwork({ ...network, remotes: [b.overlay] }, never);
    assert.ok(await two.reaches(one.address));
  });

  test("find a guest that moved to another node at once", async () => {
    await using lab = await makeLab(3);
    const [a, b, c] = lab.nodes as [LabNode, LabNode, LabNode];
    const network = newNetwork();
    const { bridge } = networkDevices(network.id);
    await carry([a, b], network);
    const mac = "52:54:00:12:34:56";
    await using one = await plugGuest(a, bridge, { address: "10.213.7.11", gateway: network.gateway });
    const before = await plugGuest(b, bridge, { address: "10.213.7.12", gateway: network.gateway, mac });
    await eventually("a first ping", () => one.reaches("10.213.7.12"), 15_000, 100);
    await before[Symbol.asyncDispose]();
    await using after = await plugGuest(c, (await c.driver.ensureNetwork(network, never)).bridge, {
      address: "10.213.7.12",
      gateway: network.gateway,
      mac,
    });
    await carry(lab.nodes, network);
    await eventually("c is reachable in the overlay", () => a.reaches(c.overlay), 15_000, 100);
    assert.ok(await one.reaches(after.address));
  });
});

describe("the overlay", () => {
  test("lets a peer reach nothing of the node but an echo", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    using _service = await listen(b, 8080);
    await eventually("a ping through the overlay", () => a.reaches(b.overlay), 15_000, 100);
    assert.ok(!(await a.connects(b.overlay, 8080)));
  });

  test("keeps a peer's connection while others come and go, and comes back when its process was killed", async () => {
    await using lab = await makeLab(3);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const reaches = (): Promise<boolean> => a.reaches(b.overlay);
    await eventually("a ping through the overlay", reaches, 15_000, 100);
    const keyOfB = await b.driver.publicKey(never);
    /** Bytes from B so far; a peer that was taken out and put back would begin at 0. */
    const heardFromB = async (): Promise<number> => {
      const line = (await a.do("wg show skwg0 transfer")).split("\n").find((each) => each.startsWith(keyOfB));
      return Number(line?.split("\t")[1]);
    };
    const whole = await overlayOf(a, lab.nodes);
    const onlyB = { ...whole, peers: whole.peers.filter((peer) => peer.address === b.overlay) };
    const before = await heardFromB();
    assert.ok(before > 0);
    await a.driver.ensureOverlay(onlyB, never);
    assert.equal((await a.do("wg show skwg0 peers")).trim().split("\n").length, 1);
    await a.driver.ensureOverlay(whole, never);
    assert.equal((await a.do("wg show skwg0 peers")).trim().split("\n").length, 2);
    assert.ok((await heardFromB()) >= before);
    assert.ok(await reaches());

    const device = (await a.do("ip -d -j link show dev skwg0")).includes('"wireguard"') ? "kernel" : "process";
    if (device === "process") {
      const network = await readlink(`/proc/${a.pid}/ns/net`);
      for (const pid of (await a.do("pidof wireguard-go")).trim().split(" ")) {
        if ((await readlink(`/proc/${pid}/ns/net`)) === network) process.kill(Number(pid), "SIGKILL");
      }
      await eventually(
        "the device went with its process",
        () => a.do("ip -br link show").then((text) => !text.includes("skwg0")),
        5000,
      );
    } else await a.do("ip link delete dev skwg0");
    await a.driver.list(never);
    await eventually("a ping through the new overlay", reaches, 15_000, 100);
    assert.equal((await a.do("wg show skwg0 peers")).trim().split("\n").length, 2);
  });

  test("never shows its private key to other users or in arguments", async () => {
    await using folder = await temporaryFolder();
    await using machine = await makeMachine();
    const seen: string[] = [];
    const driver = openLinuxNetworks({
      folder: folder.path,
      run: (argv, signal, input) => {
        seen.push(argv.join(" "), input ?? "");
        return machine.run(argv, signal, input);
      },
    });
    await driver.ensureOverlay({ address: "100.64.0.1", prefixLength: 10, listenPort: 51_820, peers: [] }, never);
    const path = `${folder.path}/overlay.key`;
    const key = (await readFile(path, "utf8")).trim();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.ok(seen.length > 0 && !seen.some((text) => text.includes(key)));
    assert.equal((await machine.run(["wg", "pubkey"], never, key)).stdout.trim(), await driver.publicKey(never));
    assert.equal((await machine.do("wg show skwg0 public-key")).trim(), await driver.publicKey(never));
  });
});
