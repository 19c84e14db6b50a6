import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeFleet, Placer } from "@skerry/placement";
import { columnsOver } from "../src/fleet/columns.ts";
import { node, request } from "./fleet.ts";

const nodes = Array.from({ length: 300 }, (_, number) =>
  node(`n-${String(number).padStart(3, "0")}`, ["Madrid", "Paris", "Berlin"][number % 3] ?? "Madrid"),
);

describe("a fleet", () => {
  test("that is shared has its columns in memory that other threads see change", () => {
    const fleet = new NodeFleet(nodes, { shared: true });
    const { buffer, limits } = fleet.columns;
    assert.ok(buffer instanceof SharedArrayBuffer);
    const other = columnsOver(buffer, limits);
    const placer = new Placer(fleet);
    placer.fleet.reserve(placer.best(request({}, { vcpus: 3 })).slot, request({}, { vcpus: 3 }));
    placer.best(request());
    assert.equal(
      other.load.reduce((sum, value, place) => sum + (place % 6 === 0 ? value : 0), 0),
      3,
    );
    assert.deepEqual(other.levels[0]?.bounds, fleet.columns.levels[0]?.bounds);
  });

  test("decides the same whether nodes came at once or one by one, some of them twice or gone again meanwhile", () => {
    const grown = new NodeFleet();
    for (const [number, added] of nodes.entries()) {
      grown.put({ ...added, site: "elsewhere" });
      grown.put(added);
      if (number % 7 === 0) grown.remove(added.id);
    }
    for (const [number, again] of nodes.entries()) if (number % 7 === 0) grown.put(again);
    const [one, other] = [new Placer(grown), new Placer(new NodeFleet(nodes))];
    assert.equal(grown.size, nodes.length);
    for (let count = 0; count < 400; count++) {
      const asked = request(count % 2 === 0 ? { countries: ["FR", "DE"] } : {}, { vcpus: 1 + (count % 3) });
      const chosen = [one, other].map((placer) => {
        const { slot } = placer.best(asked);
        placer.fleet.reserve(slot, asked);
        return placer.fleet.at(slot);
      });
      assert.deepEqual(chosen[0], chosen[1]);
    }
  });

  test("may have more kinds of devices than there are bits for them, and finds each where it is", () => {
    const equipped = nodes.map((one, number) => ({ ...one, spare: { devices: { gpu: 1, [`gpu ${number}`]: 1 } } }));
    const placer = new Placer(
      new NodeFleet([...nodes.map((one) => ({ ...one, id: `${one.id}-x`, name: `${one.name}-x` })), ...equipped]),
    );
    for (const number of [0, 31, 32, 33, 64, 150, 299]) {
      const asked = request({}, { devices: { gpu: 1, [`gpu ${number}`]: 1 } });
      const { slot } = placer.best(asked);
      assert.equal(placer.fleet.at(slot).name, nodes[number]?.name);
      const reservation = placer.fleet.reserve(slot, asked);
      assert.equal(placer.best(asked).slot, -1);
      placer.fleet.release(reservation);
      assert.equal(placer.best(asked).slot, slot);
    }
    assert.equal(placer.best(request({}, { devices: { "gpu 300": 1 } })).slot, -1);
  });

  test("takes pinned cells where least is left over, and gives the same back", () => {
    const cells = [8, 4, 6, 2].map((vcpus) => ({ vcpus, memoryMiB: 8192 }));
    const fleet = new NodeFleet([
      node("numa", "Madrid", { capacity: { vcpus: 20, memoryMiB: 65_536, diskMiB: 102_400 }, spare: { cells } }),
    ]);
    const asked = request({}, { vcpus: 8, pinnedCells: 2 });
    const { slot } = new Placer(fleet).best(asked);
    const reservation = fleet.reserve(slot, asked);
    assert.deepEqual(
      fleet.at(slot).spare?.cells?.map(({ vcpus }) => vcpus),
      [8, 0, 2, 2],
    );
    assert.throws(() => fleet.reserve(slot, { ...asked, vcpus: 18 }), /not 2 NUMA cells with room/);
    fleet.release(reservation);
    assert.deepEqual(fleet.at(slot).spare?.cells, cells);
  });
});
