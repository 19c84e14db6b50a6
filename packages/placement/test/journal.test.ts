import assert from "node:assert/strict";
import { test } from "node:test";
import { FleetJournal, NodeFleet, Placer, finish, type Candidate } from "@skerry/placement";
import { seededRandom } from "@skerry/testkit";
import { seed } from "@skerry/testkit/seed";
import { diceOf, makeNodes, randomRequest } from "./random-fleet.ts";

const byNames = (one: Candidate, other: Candidate): number => (one.name < other.name ? -1 : 1);

test("a copy of a fleet is set back to what the fleet was at any mark that is kept, and decides as it did then", (t) => {
  t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
  let forgotten = 0;
  for (let number = 0; number < 60; number++) {
    const dice = diceOf(seededRandom(seed + number));
    const make = makeNodes(dice, 30);
    const nodes = Array.from({ length: 30 }, (_, serial) => make(serial));
    const fleet = new NodeFleet(nodes.slice(0, 10));
    const placer = new Placer(fleet);
    const journal = new FleetJournal(50);
    const past: {
      mark: number;
      nodes: readonly Candidate[];
      request: ReturnType<typeof randomRequest>;
      cost: number;
    }[] = [];
    for (let step = 0; step < 100; step++) {
      const node = nodes[dice.whole(nodes.length - 1)] as Candidate;
      const what = dice.whole(9);
      if (what < 2) journal.remove(fleet, node.id);
      else if (what < 5) journal.put(fleet, { ...node, healthy: what === 2 });
      else {
        const { vcpus, memoryMiB, diskMiB } = node.capacity;
        journal.setUsed(fleet, node.id, { vcpus: dice.whole(vcpus), memoryMiB: memoryMiB >> 1, diskMiB });
      }
      const request = randomRequest(dice, nodes);
      past.push({
        mark: journal.mark,
        nodes: [...fleet.nodes()].sort(byNames),
        request,
        cost: placer.best(request).cost,
      });
    }
    let kept = 0;
    for (const { mark, nodes: then, request, cost } of past) {
      if (!journal.remembers(mark)) {
        assert.throws(() => journal.undo(fleet.copy(), mark), RangeError);
        forgotten++;
        continue;
      }
      kept++;
      const copy = fleet.copy();
      finish(journal.undo(copy, mark));
      assert.deepEqual([...copy.nodes()].sort(byNames), then, `seed ${seed + number}, mark ${mark}`);
      assert.equal(new Placer(copy).best(request).cost, cost);
    }
    assert.ok(kept >= 50, `${kept}`);
  }
  // Some steps change nothing, so that a single run may forget nothing.
  assert.ok(forgotten > 0);
});
