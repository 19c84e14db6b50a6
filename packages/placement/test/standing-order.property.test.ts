import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeFleet, Placer } from "@skerry/placement";
import type { Reservation } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

test("what is asked again and again gets what a look at every node finds, however the fleet has changed since", (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  let placed = 0;
  for (let number = 0; number < 60; number++) {
    const dice = diceOf(seededRandom(seed + number));
    const count = 40 + dice.whole(260);
    const make = makeNodes(dice, count);
    const nodes = Array.from({ length: count }, (_, serial) => make(serial));
    const fleet = new NodeFleet(nodes);
    const placer = new Placer(fleet);
    const shapes = Array.from({ length: 4 }, () => {
      const { seed: _, ...asked } = randomRequest(dice, nodes);
      return asked;
    });
    const reservations: Reservation[] = [];
    for (let step = 0; step < 150; step++) {
      const asked = dice.one(shapes);
      const found = placer.best(asked);
      const scanned = placer.bestByScan(asked);
      assert.deepEqual(found, scanned, `step ${step} of ${number}: ${JSON.stringify(asked)}`);
      if (found.slot >= 0) {
        placed++;
        reservations.push(fleet.reserve(found.slot, asked));
      }
      const given = dice.chance(0.4) ? reservations.splice(dice.whole(reservations.length), 1)[0] : undefined;
      if (given !== undefined) fleet.release(given);
      const node = dice.one(nodes);
      if (dice.chance(0.05)) fleet.put({ ...node, healthy: dice.chance(0.5) });
      if (dice.chance(0.3)) fleet.setUsed(node.id, { ...node.used, vcpus: dice.whole(node.capacity.vcpus + 1) });
    }
  }
  assert.ok(placed > 2000, `only ${placed} were placed`);
});
