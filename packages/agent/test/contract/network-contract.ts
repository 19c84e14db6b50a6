import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NetworkDefinition, NetworkDriver, OverlayDefinition } from "../../src/drivers/network.ts";
import { newId } from "./ids.ts";

/** What a driver brings to the suite; `close` removes whatever was made. */
export interface NetworkContractSetup {
  /** Opens the driver over the same host, as after a restart of the agent. */
  open(): Promise<NetworkDriver>;
  /** An overlay that this host can carry. */
  readonly overlay: OverlayDefinition;
  close(): Promise<void>;
}

/** The behaviour that every network driver owes. */
export function networkDriverContract(title: string, prepare: () => Promise<NetworkContractSetup>): void {
  const never = new AbortController().signal;
  const check = (name: string, body: (driver: NetworkDriver, setup: NetworkContractSetup) => Promise<void>): void => {
    test(name, async () => {
      const setup = await prepare();
      try {
        await body(await setup.open(), setup);
      } finally {
        await setup.close();
      }
    });
  };
  const network = (change: Partial<NetworkDefinition> = {}): NetworkDefinition => ({
    id: newId("net"),
    vni: 4711,
    cidr: "10.213.7.0/24",
    gateway: "10.213.7.1",
    egress: false,
    remotes: [],
    ...change,
  });

  describe(title, () => {
    check("keeps one overlay key, also after a restart", async (driver, setup) => {
      const key = await driver.publicKey(never);
      assert.match(key, /^[A-Za-z0-9+/]{43}=$/);
      assert.equal(await driver.publicKey(never), key);
      assert.equal(await (await setup.open()).publicKey(never), key);
    });

    check("makes a network, lists it, and makes it again without change", async (driver, setup) => {
      const wish = network();
      await driver.ensureOverlay(setup.overlay, never);
      const made = await driver.ensureNetwork(wish, never);
      assert.equal(made.id, wish.id);
      assert.ok(
        made.bridge.length >= 1 && made.bridge.length <= 15,
        "a Linux interface's name has at most 15 characters",
      );
      assert.ok(made.mtu >= 576 && made.mtu <= 1500);
      assert.deepEqual(await driver.ensureNetwork(wish, never), made);
      assert.deepEqual(await (await setup.open()).list(never), [made]);
    });

    check("takes changed peers and remotes", async (driver, setup) => {
      const wish = network();
      await driver.ensureOverlay(setup.overlay, never);
      const made = await driver.ensureNetwork(wish, never);
      await driver.ensureOverlay({ ...setup.overlay, peers: [] }, never);
      assert.deepEqual(await driver.ensureNetwork({ ...wish, remotes: ["100.64.0.77"] }, never), made);
      assert.deepEqual(await driver.ensureNetwork({ ...wish, remotes: [] }, never), made);
    });

    check("keeps networks apart", async (driver, setup) => {
      await driver.ensureOverlay(setup.overlay, never);
      const one = await driver.ensureNetwork(network(), never);
      const two = await driver.ensureNetwork(
        network({ vni: 4712, cidr: "10.213.8.0/24", gateway: "10.213.8.1" }),
        never,
      );
      assert.notEqual(one.bridge, two.bridge);
      assert.deepEqual(new Set((await driver.list(never)).map((state) => state.id)), new Set([one.id, two.id]));
      await driver.removeNetwork(one.id, never);
      assert.deepEqual(await driver.list(never), [two]);
    });

    check("removes a network, and again", async (driver, setup) => {
      const wish = network();
      await driver.ensureOverlay(setup.overlay, never);
      await driver.ensureNetwork(wish, never);
      await driver.removeNetwork(wish.id, never);
      await driver.removeNetwork(wish.id, never);
      await driver.removeNetwork(newId("net"), never);
      assert.deepEqual(await driver.list(never), []);
    });
  });
}
