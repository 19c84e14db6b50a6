import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeFleet, Placer, decide, finish, simulateSteps } from "@skerry/placement";
import type { Candidate, FleetChange, PlacementRequest, Simulated, Subject } from "@skerry/placement";
import { node, request } from "./fleet.ts";

const nodes = [
  node("mad-1", "Madrid", { carbonGramsPerKWh: 150, used: { vcpus: 2, memoryMiB: 0, diskMiB: 0 } }),
  node("mad-2", "Madrid", { carbonGramsPerKWh: 150 }),
  node("par-1", "Paris", { carbonGramsPerKWh: 50 }),
  node("war-1", "Warsaw", { carbonGramsPerKWh: 700 }),
];
const subject = (asked: PlacementRequest): Subject => ({ request: () => asked });
const simulate = (subjects: readonly Subject[], changes: readonly FleetChange[], fleet: readonly Candidate[] = nodes) =>
  finish(simulateSteps(new Placer(new NodeFleet(fleet)), subjects, changes));
const where = (decision: Simulated): string =>
  decision === undefined ? "untold" : decision.outcome === "placed" ? decision.node.name : decision.reason;

describe("a simulation", () => {
  test("places as the engine does in the fleet that the changes make", () => {
    const asked = request({}, { weights: { carbon: 1 } });
    const pl = node("new-1", "Warsaw", { carbonGramsPerKWh: 10 });
    const cases: readonly [FleetChange, readonly Candidate[]][] = [
      [{ change: "without", what: "site", name: "paris" }, nodes.filter(({ site }) => site !== "paris")],
      [{ change: "without", what: "country", name: "FR" }, nodes.filter(({ country }) => country !== "FR")],
      [{ change: "without", what: "node", name: "par-1" }, nodes.filter(({ name }) => name !== "par-1")],
      [{ change: "nodes", nodes: [pl] }, [...nodes, pl]],
      [
        { change: "site", site: "warsaw", facts: { carbonGramsPerKWh: 1 } },
        nodes.map((one) => (one.site === "warsaw" ? { ...one, carbonGramsPerKWh: 1 } : one)),
      ],
    ];
    for (const [change, changed] of cases) {
      const { subjects, touched: counts } = simulate([subject(asked)], [change]);
      assert.equal(where(subjects[0]?.now), "par-1");
      const alone = decide(new Placer(new NodeFleet(changed)), asked);
      assert.notEqual(where(alone), "par-1");
      assert.equal(where(subjects[0]?.changed), where(alone), JSON.stringify(change));
      assert.deepEqual(counts, [1]);
    }
  });

  test("weighs round trips as it is told they would be", () => {
    const asked = request({ maxLatency: [{ from: "Madrid", milliseconds: 10 }], countries: ["PL"] });
    const { subjects } = simulate(
      [subject(asked)],
      [{ change: "site", site: "warsaw", facts: { measuredMs: { Madrid: 9 } } }],
    );
    assert.match(where(subjects[0]?.now), /^No node fits/);
    assert.equal(where(subjects[0]?.changed), "war-1");
  });

  test("lets each find what those before it leave, and those that move give back what they have", () => {
    const large = request({ countries: ["ES"] }, { vcpus: 3 });
    const three = simulate([subject(large), subject(large), subject(large)], []);
    assert.deepEqual(
      three.subjects.map(({ now }) => where(now).slice(0, 12)),
      ["mad-2", "No node fits", "No node fits"],
    );
    // The two vCPUs that are used on the first are its own.
    const takes = request({}, { vcpus: 2 });
    const moved: Subject = { request: () => large, present: { nodeId: "nod_mad-1", takes } };
    const { subjects } = simulate([moved, subject(large)], [{ change: "without", what: "node", name: "mad-2" }]);
    assert.deepEqual(
      subjects.map(({ now, changed }) => [where(now), where(changed).slice(0, 12)]),
      [
        ["mad-1", "mad-1"],
        ["mad-2", "No node fits"],
      ],
    );
  });

  test("tells each where those before it went", () => {
    const apart: Subject = {
      request: (places) =>
        request(
          { countries: ["ES"] },
          {
            affinity: [{ relation: "apart", by: "node", nodes: places.flatMap((name) => name ?? []) }],
          },
        ),
    };
    const { subjects } = simulate([apart, apart, apart], []);
    assert.deepEqual(
      subjects.map(({ now }) => where(now).slice(0, 12)),
      ["mad-2", "mad-1", "No node fits"],
    );
  });
});
