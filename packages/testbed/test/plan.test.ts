import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { isTestbedNamespace, isWithin, planTestbed, wanNamespace } from "../src/plan.ts";
import { defaultTestbedOptions, TestbedError } from "../src/testbed.ts";

describe("the plan of a testbed", () => {
  test("gives three providers their own subnets and makes the last host alone bare", () => {
    const plan = planTestbed({ ...defaultTestbedOptions, providers: 3, nodesPerProvider: 1 });
    assert.deepEqual(
      plan.hosts.map(({ name, address, packages }) => [name, address, packages]),
      [
        ["p1-h1", "10.210.1.11", "hypervisor"],
        ["p2-h1", "10.210.2.11", "hypervisor"],
        ["p3-h1", "10.210.3.11", "bare"],
      ],
    );
    assert.deepEqual(plan.providers[1], {
      index: 2,
      namespace: "sk-p2",
      cidr: "10.210.2.0/24",
      gateway: "10.210.2.1",
      link: { wanInterface: "p2", wanAddress: "10.210.250.9", gatewayAddress: "10.210.250.10" },
    });
  });

  test("never gives an address, a name or a namespace twice, and has exactly one bare host", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (providers, nodesPerProvider) => {
        const plan = planTestbed({ ...defaultTestbedOptions, providers, nodesPerProvider });
        const addresses = [
          ...plan.hosts.map((host) => host.address),
          ...plan.providers.flatMap((provider) => [
            provider.gateway,
            provider.link.wanAddress,
            provider.link.gatewayAddress,
          ]),
        ];
        assert.equal(new Set(addresses).size, addresses.length);
        assert.equal(new Set(plan.hosts.map((host) => host.name)).size, providers * nodesPerProvider);
        assert.equal(plan.hosts.filter((host) => host.packages === "bare").length, 1);
        assert.ok([wanNamespace, ...plan.providers.map((provider) => provider.namespace)].every(isTestbedNamespace));
        for (const address of addresses) assert.ok(address.split(".").every((part) => Number(part) <= 255));
      }),
    );
  });

  for (const [name, change] of Object.entries({
    "no provider": { providers: 0 },
    "too many providers": { providers: 21 },
    "half a node": { nodesPerProvider: 1.5 },
    "a negative delay": { wanDelayMs: -1 },
    "a relative state directory": { stateDir: "testbed" },
    "a state directory that is a top directory": { stateDir: "/var" },
    "a state directory with a comma, which a mount option could not hold": { stateDir: "/var/lib/a,b" },
    "a state directory that climbs": { stateDir: "/var/lib/../x" },
    "a cache inside the state directory": { cacheDir: "/var/lib/skerry/testbed/cache" },
  })) {
    test(`refuses ${name} with a remedy`, () => {
      assert.throws(
        () => planTestbed({ ...defaultTestbedOptions, ...change }),
        (error: unknown) => error instanceof TestbedError && error.remedy.length > 0,
      );
    });
  }
});

describe("what belongs to the testbed", () => {
  test("a namespace is the testbed's by its whole name only", () => {
    for (const name of ["sk-wan", "sk-p1", "sk-p20"]) assert.ok(isTestbedNamespace(name), name);
    for (const name of ["sk-p0", "sk-p21", "sk-p1x", "sk-wan2", "my-sk-p1", "sk-tenant", ""])
      assert.ok(!isTestbedNamespace(name), name);
  });

  test("a path lies within a directory, not beside one whose name begins alike", () => {
    assert.ok(isWithin("/a/b", "/a/b"));
    assert.ok(isWithin("/a/b/c", "/a/b"));
    assert.ok(!isWithin("/a/bc", "/a/b"));
  });
});
