import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeFleet, Placer } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

test("a copy of a fleet decides alike, and neither learns what becomes of the other", (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  for (let number = 0; number < 100; number++) {
    const dice = diceOf(seededRandom(seed + number));
    const make = makeNodes(dice, 60);
    const nodes = Array.from({ length: 40 }, (_, serial) => make(serial));
    const fleet = new NodeFleet(nodes.slice(0, 20));
    for (const node of nodes.slice(20)) fleet.put(node);
    for (const node of nodes.slice(5, 9)) fleet.remove(node.id);
    const [kept, copy] = [new Placer(fleet), new Placer(fleet.copy())];
    const asked = Array.from({ length: 10 }, () => randomRequest(dice, nodes));
    const answers = (placer: Placer): unknown[] =>
      asked.map((request) => {
        const { slot, cost } = placer.best(request);
        return [slot < 0 ? "" : placer.fleet.at(slot).name, cost, placer.fitting(request)];
      });
    const before = answers(kept);
    assert.deepEqual(answers(copy), before, `seed ${seed + number}`);
    // Each goes a way of its own.
    for (let serial = 40; serial < 60; serial++) copy.fleet.put(make(serial));
    for (const node of nodes.slice(10, 30)) copy.fleet.remove(node.id);
    assert.deepEqual(answers(kept), before, "the copy's changes are its own");
    const changed = answers(copy);
    for (const node of nodes) fleet.remove(node.id);
    for (const node of nodes.slice(0, 3)) fleet.put({ ...node, schedulable: true, healthy: true });
    assert.deepEqual(answers(copy), changed, "and so are the fleet's own");
    const fresh = new Placer(new NodeFleet([...copy.fleet.nodes()]));
    assert.deepEqual(
      answers(fresh).map((one) => (one as unknown[])[1]),
      changed.map((one) => (one as unknown[])[1]),
    );
  }
});
