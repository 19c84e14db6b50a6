import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NodeResource, ProviderResource, SiteResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { Fleet } from "../../src/controllers/fleet.ts";
import { fleetOf, idle } from "../../src/controllers/placing.ts";
import { memoryFolder, openScratchStore } from "../fakes/scratch-store.ts";

type Made =
  | { readonly do: "node"; readonly serial: number; readonly site: string }
  | { readonly do: "drop"; readonly serial: number }
  | { readonly do: "site"; readonly site: string; readonly latitude: number };

const change = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("node" as const), serial: fc.nat(6), site: fc.constantFrom("a", "b") }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("drop" as const), serial: fc.nat(6) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("site" as const), site: fc.constantFrom("a", "b"), latitude: fc.nat(80) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "look" as const }) },
  // The next few in one transaction, which comes to nothing: what it has changed itself counts for it alone.
  { weight: 1, arbitrary: fc.constant({ do: "rehearse" as const }) },
);

const at = "2026-01-01T00:00:00.000Z";
const metadata = (name: string, id: string) => ({
  ...{ name, id, revision: 0, generation: 1, labels: {} },
  ...{ createdAt: at, updatedAt: at },
});
const provider: ProviderResource = {
  kind: "Provider",
  metadata: metadata("p", "prv_1"),
  spec: { driver: "manual", country: "ES" },
  status: { conditions: [] },
};
const site = (name: string, latitude: number): SiteResource => ({
  kind: "Site",
  metadata: metadata(name, `sit_${name}`),
  spec: { provider: "p", country: "ES", latitude, longitude: 0, tier: "far-edge" },
  status: {},
});
const node = (serial: number, where: string, connected: boolean): NodeResource => ({
  kind: "Node",
  metadata: metadata(`n-${serial}`, `nod_${serial}`),
  spec: { site: where },
  status: { connected, conditions: [] },
});

test("the fleet is the nodes, sites and providers as they are, whatever has changed since it was looked at", async (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  for (const changes of fc.sample(fc.array(change, { minLength: 30, maxLength: 80 }), { numRuns: 15, seed })) {
    await using scratch = await openScratchStore(Date.now, memoryFolder);
    const { store } = scratch;
    const fleet = new Fleet(store, { in: () => idle, takeChanged: () => new Set(), correctedIn: () => [] });
    const look = (view: View = store): void => {
      const byName = (one: { readonly name: string }, other: { readonly name: string }): number =>
        one.name < other.name ? -1 : 1;
      assert.deepEqual(fleet.in(view).toSorted(byName), fleetOf(view, idle).toSorted(byName));
      assert.deepEqual([...fleet.placerIn(view).fleet.nodes()].toSorted(byName), fleetOf(view, idle).toSorted(byName));
    };
    const make = (tx: Transaction, one: Made, connected: boolean): void => {
      if (one.do === "node") tx.put(node(one.serial, one.site, connected));
      else if (one.do === "drop") tx.delete("Node", `nod_${one.serial}`);
      else tx.put(site(one.site, one.latitude));
    };
    await store.transact((tx) => tx.put(provider));
    for (const [index, one] of changes.entries()) {
      if (one.do === "look") look();
      else if (one.do === "rehearse") {
        store.rehearse((tx) => {
          for (const [offset, next] of changes.slice(index + 1, index + 8).entries()) {
            if (next.do === "look" || next.do === "rehearse") look(tx);
            else make(tx, next, offset % 2 === 0);
          }
          look(tx);
        });
        look();
      } else await store.transact((tx) => make(tx, one, index % 2 === 0));
    }
    look();
    fleet.close();
  }
});
