import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { gatewayMac, networkDevices, vxlanPort } from "../../src/drivers/network/linux/naming.ts";
import { eventually } from "../contract/deadline.ts";
import {
  carry,
  injectFrame,
  listen,
  makeLab,
  makeOutsideService,
  networkPackages,
  newNetwork,
  plugGuest,
  wanAddress,
  type LabNode,
} from "./network-lab.ts";
import { enterOwnNamespaces } from "./own-namespaces.ts";

enterOwnNamespaces(import.meta.url, networkPackages);

const never = new AbortController().signal;

describe("a network", () => {
  test("keeps its guests away from their node, which reaches them", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork();
    const { bridge } = await node.driver.ensureNetwork(network, never);
    await using guest = await plugGuest(node, bridge, { address: "10.213.7.11", gateway: network.gateway });
    using _service = await listen(node, 8080);
    using _served = await listen(guest, 80);
    assert.ok(await guest.reaches(network.gateway), "an echo is answered");
    for (const address of [network.gateway, node.wan, node.overlay]) {
      assert.ok(!(await guest.connects(address, 8080)), `the node's service at ${address}`);
    }
    assert.ok(await node.connects(guest.address, 80));
  });

  test("is closed to other networks on the same node, even where the node routes", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork({ egress: true });
    const other = newNetwork({ vni: 4712, cidr: "10.213.8.0/24", gateway: "10.213.8.1", egress: true });
    const first = await node.driver.ensureNetwork(network, never);
    const second = await node.driver.ensureNetwork(other, never);
    await using one = await plugGuest(node, first.bridge, { address: "10.213.7.11", gateway: network.gateway });
    await using two = await plugGuest(node, second.bridge, { address: "10.213.8.11", gateway: other.gateway });
    assert.equal((await node.do("sysctl -n net.ipv4.ip_forward")).trim(), "1");
    assert.ok(!(await one.reaches(two.address)));
    assert.ok(await one.reaches(network.gateway));
  });

  test("gives its guests no way into the overlay, nor the overlay a way through the node", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork({ egress: true });
    const { bridge } = await a.driver.ensureNetwork(network, never);
    await using guest = await plugGuest(a, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await eventually("a ping through the overlay", () => a.reaches(b.overlay), 15_000, 100);
    const asked = `table inet probe { chain in { type filter hook prerouting priority -300; icmp type echo-request counter; }; }`;
    await b.run(["nft", "-f", "-"], never, asked);
    assert.ok(!(await guest.reaches(b.overlay)));
    assert.match(await b.do("nft list table inet probe"), /counter packets 0 /, "not even one way");
    // A peer may send what it likes; only its own configuration holds it back.
    await b.do(
      `wg set skwg0 peer ${await a.driver.publicKey(never)} allowed-ips ${a.overlay}/32,${wanAddress}/32,${guest.address}/32`,
    );
    await b.do(`ip route add ${wanAddress}/32 dev skwg0`);
    await b.do(`ip route add ${guest.address}/32 dev skwg0`);
    const probe = `table inet probe { chain out { type filter hook postrouting priority 300; ip saddr ${b.overlay} counter; }; }`;
    await a.run(["nft", "-f", "-"], never, probe);
    for (const address of [wanAddress, guest.address]) assert.ok(!(await b.reaches(address)));
    assert.match(await a.do("nft list table inet probe"), /counter packets 0 /);
  });

  test("may have the same addresses as another one", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const first = await node.driver.ensureNetwork(newNetwork(), never);
    const second = await node.driver.ensureNetwork(newNetwork({ vni: 4712 }), never);
    await using one = await plugGuest(node, first.bridge, { address: "10.213.7.11", gateway: "10.213.7.1" });
    await using two = await plugGuest(node, first.bridge, { address: "10.213.7.12", gateway: "10.213.7.1" });
    await using three = await plugGuest(node, second.bridge, { address: "10.213.7.11", gateway: "10.213.7.1" });
    await using four = await plugGuest(node, second.bridge, { address: "10.213.7.13", gateway: "10.213.7.1" });
    assert.ok(await one.reaches(two.address));
    assert.ok(await three.reaches(four.address));
    assert.ok(!(await one.reaches(four.address)));
  });

  test("lets its guests out under the node's address with egress only, and lets nothing in", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork();
    const { bridge } = await node.driver.ensureNetwork(network, never);
    await using guest = await plugGuest(node, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await using outside = await makeOutsideService();
    assert.ok(!(await guest.connects(wanAddress, outside.port)));
    await node.driver.ensureNetwork({ ...network, egress: true }, never);
    assert.ok(await guest.connects(wanAddress, outside.port));
    assert.deepEqual([...outside.clients], [node.wan]);
    assert.ok(!(await guest.connects("169.254.169.254", outside.port)), "a cloud's metadata service");

    using _served = await listen(guest, 80);
    await outside.route(`10.213.7.0/24 via ${node.wan}`);
    assert.ok(!(await outside.connects(guest.address, 80)), "from outside to the guest");

    await node.driver.ensureNetwork(network, never);
    assert.ok(!(await guest.connects(wanAddress, outside.port)), "egress was taken back");
  });

  test("passes on nothing that a guest sends under another's address", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork({ egress: true });
    const { bridge } = await node.driver.ensureNetwork(network, never);
    await using guest = await plugGuest(node, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await guest.do("ip addr add 198.51.100.7/32 dev eth0");
    const probe =
      'table inet probe { chain out { type filter hook postrouting priority 300; oifname "uplink" counter; }; }';
    await node.run(["nft", "-f", "-"], never, probe);
    assert.ok(!(await guest.reaches(wanAddress, "-I", "198.51.100.7")), "through the node");
    assert.ok(
      !(await guest.reaches(network.gateway, "-I", "198.51.100.7")),
      "back to the forged address, off the node",
    );
    assert.match(await node.do("nft list table inet probe"), /counter packets 0 /);
    assert.ok(await guest.reaches(wanAddress), "under its own it gets there");
  });

  test("limits the segments of a guest that does not know the network's MTU", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork({ egress: true });
    const { bridge } = await node.driver.ensureNetwork(network, never);
    await using guest = await plugGuest(node, bridge, { address: "10.213.7.11", gateway: network.gateway, mtu: 1500 });
    await using outside = await makeOutsideService();
    await node.run(
      ["nft", "-f", "-"],
      never,
      "table inet probe { chain out { type filter hook postrouting priority 0; tcp flags syn tcp option maxseg size 1330 counter; }; }",
    );
    assert.ok(await guest.connects(wanAddress, outside.port));
    assert.match(await node.do("nft list table inet probe"), /counter packets 1 /);
  });

  test("takes no VXLAN from outside the overlay, and sends none there", async () => {
    await using lab = await makeLab(2);
    const [a, b] = lab.nodes as [LabNode, LabNode];
    const network = newNetwork();
    const { bridge } = networkDevices(network.id);
    await carry(lab.nodes, network);
    await using guest = await plugGuest(a, bridge, {
      address: "10.213.7.11",
      gateway: network.gateway,
      mac: "52:54:00:aa:bb:cc",
    });
    const before = await guest.received();
    for (let count = 0; count < 5; count++) await injectFrame(a, network.vni, "52:54:00:aa:bb:cc");
    // What follows on the same way has overtaken nothing.
    await a.do(`ping -n -q -c 1 ${wanAddress}`);
    assert.equal(await guest.received(), before);
    // The same frame arrives where nothing guards.
    await a.do("nft flush chain inet skerry input");
    await injectFrame(a, network.vni, "52:54:00:aa:bb:cc");
    await eventually("the forged frame at the guest", async () => (await guest.received()) > before, 3000);

    await a.driver.ensureNetwork({ ...network, remotes: [b.overlay] }, never);
    await a.run(
      ["nft", "-f", "-"],
      never,
      `table inet probe { chain out { type filter hook postrouting priority 0; oifname "uplink" udp dport ${vxlanPort} counter; }; }`,
    );
    // A provider's own use of the overlay's range must not draw guests' packets out of it.
    await a.do(`ip route add ${b.overlay}/32 via ${wanAddress} dev uplink`);
    assert.ok(!(await guest.reaches("10.213.7.12")));
    assert.match(await a.do("nft list table inet probe"), /counter packets 0 /);
  });

  test("is not removed while a guest is attached", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork();
    const { bridge } = await node.driver.ensureNetwork(network, never);
    const clean = await node.do("nft -s list ruleset");
    const guest = await plugGuest(node, bridge, { address: "10.213.7.11", gateway: network.gateway });
    await assert.rejects(
      node.driver.removeNetwork(network.id, never),
      (error) => error instanceof SkerryError && error.code === "in-use",
    );
    assert.ok(await guest.reaches(network.gateway));
    await guest[Symbol.asyncDispose]();
    await node.driver.removeNetwork(network.id, never);
    assert.notEqual(await node.do("nft -s list ruleset"), clean);
    assert.doesNotMatch(await node.do("nft -s list ruleset"), /elements/);
    assert.deepEqual(await node.driver.list(never), []);
  });

  test("is not made over another's device of the same name", async () => {
    await using lab = await makeLab(1);
    const [node] = lab.nodes as [LabNode];
    const network = newNetwork();
    await node.do(`ip tuntap add dev ${networkDevices(network.id).bridge} mode tap`);
    await assert.rejects(
      node.driver.ensureNetwork(network, never),
      (error) => error instanceof SkerryError && error.code === "conflict",
    );
    await assert.rejects(
      node.driver.removeNetwork(network.id, never),
      (error) => error instanceof SkerryError && error.code === "conflict",
    );
  });
});

describe("a network's gateway", () => {
  const network = newNetwork();
  const { bridge } = networkDevices(network.id);
  const mac = gatewayMac(network.vni);

  /** Counts frames that come to a node out of the overlay, before any of its rules. */
  async function countFrames(node: LabNode, match: string): Promise<() => Promise<number>> {
    const table = `table bridge probe { chain seen { type filter hook prerouting priority -300; iifname "skx*" ${match} counter; }; }`;
    await node.run(["nft", "-f", "-"], never, table);
    return async () => Number(/counter packets (\d+) /.exec(await node.do("nft list table bridge probe"))?.[1]);
  }

  /** Two nodes that carry the network, each with a guest; the second node may be one that keeps to no rules. */
  async function makePair(rogue: boolean) {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await makeLab(2));
    const [a, b] = lab.nodes as [LabNode, LabNode];
    await carry(lab.nodes, network);
    const one = stack.use(await plugGuest(a, bridge, { address: "10.213.7.11", gateway: network.gateway }));
    const two = stack.use(await plugGuest(b, bridge, { address: "10.213.7.12", gateway: network.gateway }));
    await eventually("a first ping", () => one.reaches(two.address), 15_000, 100);
    if (rogue) await b.do("nft delete table bridge skerry");
    const kept = stack.move();
    return { a, b, one, two, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  test("is not asked for across nodes, and sends nothing across", async () => {
    await using pair = await makePair(false);
    const { a, b, one, two } = pair;
    const questions = await countFrames(a, `arp daddr ip ${network.gateway}`);
    await two.do("ip neigh flush all");
    assert.ok(await two.reaches(network.gateway));
    assert.equal(await questions(), 0);
    const own = await countFrames(b, `ether saddr ${mac}`);
    assert.ok(!(await a.reaches(two.address)), "a node reaches its own guests only");
    assert.ok(await a.reaches(one.address));
    assert.equal(await own(), 0);
  });

  test("does not hear another node's guests, even where that node lets them", async () => {
    await using pair = await makePair(true);
    const { a, b, two } = pair;
    await b.do(`ip addr delete ${network.gateway}/24 dev ${bridge}`);
    await b.do(`ip link set dev ${bridge} address 02:00:00:00:00:99`);
    await two.do(`ip neigh replace ${network.gateway} lladdr ${mac} dev eth0`);
    const crossed = await countFrames(a, `ether daddr ${mac}`);
    const probe =
      "table inet probe { chain in { type filter hook input priority -300; icmp type echo-request counter; }; }";
    await a.run(["nft", "-f", "-"], never, probe);
    assert.ok(!(await two.reaches(network.gateway)));
    assert.ok((await crossed()) > 0, "the frames did come");
    assert.match(await a.do("nft list table inet probe"), /counter packets 0 /);
  });

  for (const rogue of [false, true]) {
    const where = rogue ? "on a node that keeps to no rules" : "on another node";
    test(`is not impersonated by a guest ${where}`, async () => {
      await using pair = await makePair(rogue);
      const { a, one, two } = pair;
      const believed = (): Promise<string> => one.do(`ip neigh show ${network.gateway}`);
      assert.ok(await one.reaches(network.gateway));
      const claims = await countFrames(a, `arp saddr ip ${network.gateway}`);
      await two.do(`ip addr add ${network.gateway}/32 dev eth0`);
      await two.do("ip neigh flush all");
      await two.reaches(one.address, "-I", network.gateway);
      assert.equal((await claims()) > 0, rogue);
      assert.match(await believed(), new RegExp(mac), "by its address");

      await a.do("nft delete table bridge probe");
      const frames = await countFrames(a, `ether saddr ${mac}`);
      const [address] = /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(await one.do("ip -br link show dev eth0")) ?? [];
      await two.do(`ip addr delete ${network.gateway}/32 dev eth0`);
      await two.do(`ip link set dev eth0 address ${mac}`);
      await two.do(`ip neigh replace ${one.address} lladdr ${address ?? ""} dev eth0`);
      const before = await one.received();
      assert.ok(!(await two.reaches(one.address)));
      assert.equal((await frames()) > 0, rogue);
      assert.equal(await one.received(), before, "by its hardware address");
    });
  }
});
