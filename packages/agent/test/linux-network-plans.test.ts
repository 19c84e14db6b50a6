import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError } from "@skerry/model";
import "@skerry/testkit/seed";
import type { NetworkDefinition, OverlayDefinition } from "../src/drivers/network.ts";
import { elementsAbout, elementsOf, planElements } from "../src/drivers/network/linux/firewall.ts";
import { gatewayMac, networkDevices } from "../src/drivers/network/linux/naming.ts";
import { planNetwork } from "../src/drivers/network/linux/network-plan.ts";
import { planPeers, readDump } from "../src/drivers/network/linux/overlay-plan.ts";
import { checkedNetwork, checkedOverlay } from "../src/drivers/network/linux/wish.ts";
import { newId } from "./contract/ids.ts";

const key = (seed: number): string => Buffer.alloc(32, seed).toString("base64");
const network: NetworkDefinition = {
  id: newId("net"),
  vni: 4711,
  cidr: "10.213.7.0/24",
  gateway: "10.213.7.1",
  egress: false,
  remotes: ["100.64.0.2"],
};
const overlay: OverlayDefinition = {
  address: "100.64.0.1",
  prefixLength: 10,
  listenPort: 51_820,
  peers: [
    { nodeId: newId("nod"), publicKey: key(2), endpoint: "192.0.2.2:51820", address: "100.64.0.2" },
    { nodeId: newId("nod"), publicKey: key(3), address: "100.64.0.3" },
  ],
};
const isRefusal = (error: unknown): boolean => error instanceof SkerryError && error.code === "invalid-request";

describe("a wish", () => {
  test("is refused where a field is not what it should be", () => {
    const wrong: readonly Partial<NetworkDefinition>[] = [
      { id: "net_x" },
      { id: "../../x" },
      { vni: 0 },
      { vni: 2 ** 24 },
      { vni: 1.5 },
      { cidr: "10.0.0.0" },
      { cidr: "10.0.0.0/33" },
      { cidr: "10.0.0.0/24 dev eth0" },
      { gateway: "10.213.8.1" },
      { gateway: "10.213.7.1\naddr add" },
      { remotes: ["-4"] },
      { remotes: ["100.64.0.2; flush ruleset"] },
    ];
    for (const change of wrong)
      assert.throws(() => checkedNetwork({ ...network, ...change }), isRefusal, JSON.stringify(change));
    const peer = overlay.peers[0];
    assert.ok(peer);
    const wrongOverlays: readonly Partial<OverlayDefinition>[] = [
      { address: "::1" },
      { prefixLength: 7 },
      { listenPort: 0 },
      { listenPort: 65_536 },
      { peers: [{ ...peer, publicKey: "remove" }] },
      { peers: [{ ...peer, address: "0.0.0.0/0" }] },
      { peers: [{ ...peer, endpoint: "192.0.2.2" }] },
      { peers: [{ ...peer, endpoint: "-x:1" }] },
      { peers: [{ ...peer, endpoint: "a b:1" }] },
      { peers: [{ ...peer, endpoint: "host:99999" }] },
    ];
    for (const change of wrongOverlays)
      assert.throws(() => checkedOverlay({ ...overlay, ...change }), isRefusal, JSON.stringify(change));
  });

  test("becomes commands without anything but names, numbers and addresses, or none at all", () => {
    const hostile = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("10.0.0.0/24", "10.0.0.1", "100.64.0.2", "10.0.0.1 ", "10.0.0.1\n", "a;b"),
    );
    fc.assert(
      fc.property(hostile, hostile, fc.double(), fc.array(hostile, { maxLength: 3 }), (cidr, gateway, vni, remotes) => {
        let wish;
        try {
          wish = checkedNetwork({ ...network, cidr, gateway, vni, remotes });
        } catch (error) {
          assert.ok(isRefusal(error));
          return;
        }
        const plan = planNetwork(wish, "100.64.0.1", [], undefined);
        const lines = [...plan.ip, ...plan.bridge, ...plan.forget, ...planElements([], elementsOf(wish))];
        for (const line of lines) assert.match(line, /^[a-z0-9_:./ {}]+$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a network's devices", () => {
  test("have names that fit Linux and differ by network", () => {
    const names = Array.from({ length: 1000 }, () => networkDevices(newId("net")).bridge);
    assert.equal(new Set(names).size, 1000);
    for (const name of names) assert.match(name, /^skb[0-9a-f]{8}$/);
  });

  test("have a locally administered unicast address that tells networks apart", () => {
    assert.equal(gatewayMac(1), "02:53:6b:00:00:01");
    assert.equal(gatewayMac(0xff_ff_ff), "02:53:6b:ff:ff:ff");
  });
});

describe("the firewall's elements", () => {
  test("of one network change without touching another's", () => {
    const one = checkedNetwork({ ...network, egress: true });
    const other = checkedNetwork({ ...network, id: newId("net"), vni: 4712 });
    const seen = [...elementsOf(one), ...elementsOf(other)];
    assert.deepEqual(planElements(elementsAbout(seen, one.id, one.vni), elementsOf(one)), []);
    const { bridge } = networkDevices(one.id);
    const lines = planElements(
      elementsAbout(seen, one.id, one.vni),
      elementsOf({ ...one, egress: false, remotes: ["100.64.0.3"] }),
    );
    assert.deepEqual(lines, [
      `delete element inet skerry egress { ${bridge} }`,
      `delete element inet skerry carriers { 100.64.0.2 . ${4711 * 256} }`,
      `add element inet skerry carriers { 100.64.0.3 . ${4711 * 256} }`,
    ]);
    assert.equal(planElements(elementsAbout(seen, one.id, one.vni), []).length, elementsOf(one).length);
  });
});

describe("the overlay's peers", () => {
  const dump = (peers: readonly string[]): string =>
    [["secret", key(1), "51820", "off"].join("\t"), ...peers, ""].join("\n");
  const shown = (seed: number, address: string, endpoint: string, handshake: number): string =>
    [key(seed), "(none)", endpoint, `${address}/32`, handshake, 0, 0, 25].join("\t");
  const nowSeconds = 1_800_000_000;
  const plan = (text: string, wish = overlay): readonly (readonly string[])[] =>
    planPeers(wish, "/key", key(1), readDump(text), nowSeconds);

  test("are set up on a new device, with the key by its file", () => {
    assert.deepEqual(plan(["secret", "(none)", "0", "off"].join("\t")), [
      ["private-key", "/key", "listen-port", "51820"],
      ["peer", key(2), "allowed-ips", "100.64.0.2/32", "persistent-keepalive", "25", "endpoint", "192.0.2.2:51820"],
      ["peer", key(3), "allowed-ips", "100.64.0.3/32", "persistent-keepalive", "25"],
    ]);
  });

  test("are left alone when they are as wished, also one that moved and is heard of", () => {
    assert.deepEqual(
      plan(dump([shown(2, "100.64.0.2", "192.0.2.2:51820", 0), shown(3, "100.64.0.3", "(none)", 0)])),
      [],
    );
    assert.deepEqual(
      plan(
        dump([
          shown(2, "100.64.0.2", "198.51.100.7:9", nowSeconds - 60),
          shown(3, "100.64.0.3", "198.51.100.8:9", nowSeconds),
        ]),
      ),
      [],
    );
  });

  test("get their endpoint again when they fell silent", () => {
    const silent = dump([
      shown(2, "100.64.0.2", "198.51.100.7:9", nowSeconds - 600),
      shown(3, "100.64.0.3", "(none)", 0),
    ]);
    assert.deepEqual(plan(silent), [["peer", key(2), "endpoint", "192.0.2.2:51820"]]);
  });

  test("go before another takes over their address", () => {
    const seen = dump([shown(9, "100.64.0.2", "192.0.2.9:1", 0), shown(3, "100.64.0.3", "(none)", 0)]);
    assert.deepEqual(
      plan(seen).map((args) => args.slice(0, 3)),
      [
        ["peer", key(9), "remove"],
        ["peer", key(2), "allowed-ips"],
      ],
    );
  });

  test("never include the node itself", () => {
    const self = { nodeId: newId("nod"), publicKey: key(1), address: "100.64.0.1" };
    assert.deepEqual(plan(dump([]), { ...overlay, peers: [self] }), []);
  });

  test("are not guessed from a listing of another form, which is not repeated in the error", () => {
    assert.throws(
      () => readDump("secret\tpublic\t1\toff\nnot\ta\tpeer\n"),
      (error) => error instanceof SkerryError && !error.message.includes("secret"),
    );
  });
});
