import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPlacementZone, spec, type PlacementZone } from "./placement-zone.ts";

const apart = (by: string, labels: object, weight?: number) => ({
  affinity: [{ relation: "apart", by, labels, ...(weight === undefined ? {} : { weight }) }],
});

describe(
  "what instances ask of nodes by labels of others, taints, law and room, over the API",
  { timeout: 120_000 },
  () => {
    let zone: PlacementZone;
    before(async () => {
      zone = await openPlacementZone();
    });
    after(() => zone[Symbol.asyncDispose]());
    const nodeOf = async (name: string, placement: object, labels = {}): Promise<string | undefined> =>
      (await zone.put(name, { placement }, labels)).assignment?.node;
    const refused = async (name: string, placement: object, labels = {}): Promise<string> => {
      const body = { metadata: { labels }, spec: { ...spec, placement } };
      const answer = await zone.ask("PUT", `/projects/shop/instances/${name}`, body);
      assert.equal(answer.status, 422, answer.text);
      return answer.textAt("detail");
    };
    const remove = async (...names: string[]): Promise<void> => {
      await zone.api.store.transact((tx) => {
        for (const name of names)
          for (const kind of ["Instance", "Volume"] as const) {
            const object = tx.get(kind, { project: "shop", name });
            if (object !== undefined) tx.delete(kind, object.metadata.id);
          }
      });
    };

    test("those that are apart by a label never share a node, a site or a country, whichever of them comes later", async () => {
      const db = { app: "db" };
      const nodes = [];
      for (let serial = 0; serial < 4; serial++) nodes.push(await nodeOf(`db-${serial}`, apart("node", db), db));
      assert.deepEqual(new Set(nodes), new Set(["ath-1", "mad-1", "mad-2", "par-1"]));
      assert.match(await refused("db-4", apart("node", db), db), /affinity: 4 of 4 nodes are in the node/);
      // Nobody asked this one, but they were there first and must be apart from it.
      assert.match(await refused("db-5", {}, db), /affinity/);
      assert.ok(await nodeOf("web-0", {}, { app: "web" }));
      // Neither does it become one of them where it is.
      const labels = { metadata: { labels: db } };
      const answer = await zone.ask("PATCH", "/projects/shop/instances/web-0", labels);
      assert.equal(answer.status, 409, answer.text);
      assert.match(answer.textAt("detail"), /affinity/);
      await remove("db-0", "db-1", "db-2", "db-3", "web-0");
      assert.ok(await nodeOf("db-6", apart("country", db), db));
      assert.ok(await nodeOf("db-7", apart("country", db), db));
      assert.ok(await nodeOf("db-8", apart("country", db), db));
      assert.match(
        await refused("db-9", apart("country", db), db),
        /affinity: 4 of 4 nodes are in the country ES or FR or GR/,
      );
      await remove("db-6", "db-7", "db-8");
      assert.ok(await nodeOf("db-9", apart("country", db), db), "what is gone is in nobody's way");
      await remove("db-9");
    });

    test("those that go together do, softly where a weight says so, and others' labels are no matter", async () => {
      const cache = { app: "cache" };
      const together = (weight?: number) => ({
        affinity: [{ relation: "with", by: "site", labels: cache, ...(weight === undefined ? {} : { weight }) }],
      });
      assert.ok(await nodeOf("early", together()), "of none there is none to be with");
      assert.equal(await nodeOf("cache", { sites: ["athens"] }, cache), "ath-1");
      for (let serial = 0; serial < 3; serial++) assert.equal(await nodeOf(`with-${serial}`, together()), "ath-1");
      assert.match(
        await refused("no", { ...together(), countries: ["FR"] }),
        /affinity: 3 of 4 nodes are not in the site athens/,
      );
      assert.equal(await nodeOf("soft", { ...together(5), countries: ["FR", "GR"] }), "ath-1");
      assert.equal(await nodeOf("softer", { ...together(5), countries: ["FR"] }), "par-1");
      const { now } = await zone.explain("softer");
      assert.equal(now.explanation.chosen?.parts.affinity, 5);
      assert.match(now.explanation.changes[0]?.sentence ?? "", /country GR too/);
      // In a hard one's explanation, what would change it is what the spec would say.
      await zone.put("lone", { placement: { ...together(), weights: { carbon: 1 } } });
      const change = (await zone.explain("lone")).now.explanation.changes.find(({ reason }) => reason === "affinity");
      assert.deepEqual([change?.site, change?.spec], ["paris", { placement: { weights: { carbon: 1 } } }]);
      const asked = { name: "x", project: "shop", vcpus: 1, memoryMiB: 64, ...change?.spec };
      assert.equal((await zone.simulate({ requests: [asked] })).placements[0]?.now.choice?.site, "paris");
      await remove("early", "cache", "with-0", "with-1", "with-2", "soft", "softer", "lone");
    });

    test("what is simulated stands to what is there, and to each other, as creates do", async () => {
      const web = { tier: "web" };
      assert.ok(await nodeOf("web-1", apart("node", web), web));
      const row = { name: "row", project: "shop", count: 4, labels: web, vcpus: 1, memoryMiB: 128, diskMiB: 64 };
      const { placements } = await zone.simulate({ requests: [{ ...row, placement: apart("node", web) }] });
      const expected = [];
      for (let serial = 1; serial <= 3; serial++) expected.push(await nodeOf(`row-${serial}`, apart("node", web), web));
      expected.push(undefined);
      assert.match(await refused("row-4", apart("node", web), web), /affinity/);
      assert.deepEqual(
        placements.map(({ now }) => now.choice?.node),
        expected,
      );
      // Placed anew all together, each may be where it was, and none is in its own way.
      const names = ["web-1", "row-1", "row-2", "row-3"];
      const again = await zone.simulate({ instances: names.map((name) => ({ project: "shop", name })) });
      assert.equal(new Set(again.placements.map(({ now }) => now.choice?.node)).size, 4);
      await remove(...names);
    });

    test("taints keep out what does not tolerate them, and nothing that is there", async () => {
      const there = await nodeOf("there", { nodes: ["mad-2"] });
      assert.equal(there, "mad-2");
      assert.equal((await zone.ask("PATCH", "/nodes/mad-2", { spec: { taints: ["gpu=only"] } })).status, 200);
      assert.match(
        await refused("keen", { nodes: ["mad-2"] }),
        /taint: 1 of 4 nodes has a taint that is not tolerated/,
      );
      assert.equal(await nodeOf("hardy", { nodes: ["mad-2"], tolerations: ["gpu=only"] }), "mad-2");
      assert.equal((await zone.ask("PATCH", "/nodes/mad-2", { spec: { taints: ["not a taint"] } })).status, 400);
      assert.equal((await zone.ask("PATCH", "/nodes/mad-2", { spec: { taints: [] } })).status, 200);
      await remove("there", "hardy");
    });

    test("residency asks for the site's country and for the law of its provider; overcommitment and measured round trips count", async () => {
      assert.equal((await zone.ask("PATCH", "/providers/gallia", { spec: { jurisdiction: "US" } })).status, 200);
      assert.match(
        await refused("home", { residency: ["FR"] }),
        /residency: 4 of 4 nodes are not in and under the law of FR/,
      );
      assert.equal(await nodeOf("home", { residency: ["GR", "FR"] }), "ath-1");

      const large = { vcpus: 12, placement: { sites: ["paris"] } };
      const body = { spec: { ...spec, ...large } };
      assert.equal((await zone.ask("PUT", "/projects/shop/instances/large", body)).status, 422);
      const more = { spec: { overcommit: { vcpus: 2 }, latencies: [{ from: "Madrid", milliseconds: 3 }] } };
      assert.equal((await zone.ask("PATCH", "/sites/paris", more)).status, 200);
      assert.equal((await zone.put("large", large)).assignment?.node, "par-1");
      assert.equal(
        await nodeOf("near", { maxLatency: [{ from: "Madrid", milliseconds: 3.5 }], countries: ["FR"] }),
        "par-1",
      );
      const wrong = { spec: { latencies: [{ from: "Madird", milliseconds: 3 }] } };
      assert.equal((await zone.ask("PATCH", "/sites/paris", wrong)).status, 400);
      const gone = { spec: { latencies: null } };
      const kept = await zone.ask("PATCH", "/sites/paris", gone);
      assert.equal(kept.status, 409, "what is there asks for it");
      await remove("home", "large", "near");
    });
  },
);
