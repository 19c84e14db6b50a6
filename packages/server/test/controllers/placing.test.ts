import assert from "node:assert/strict";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { NodeFleet, Placer, type Candidate, type PlacementRequest } from "@skerry/placement";
import { chooseAnywhere, chooseNode, chooseToward } from "../../src/controllers/placing.ts";

const nodes = Array.from({ length: 100 }, (_, number): Candidate => ({
  name: `n-${number}`,
  id: `nod_${number}`,
  site: `site-${number % 7}`,
  provider: "p",
  country: number % 2 === 0 ? "ES" : "FR",
  jurisdiction: "ES",
  sovereigntyLevel: 2,
  tier: "far-edge",
  labels: {},
  architecture: "x86_64",
  latitude: 40,
  longitude: number % 7,
  schedulable: true,
  healthy: true,
  capacity: { vcpus: 8, memoryMiB: 8192, diskMiB: 81_920 },
  used: { vcpus: number % 5, memoryMiB: 0, diskMiB: 0 },
}));
const asked: PlacementRequest = { vcpus: 2, memoryMiB: 512, diskMiB: 1024, constraints: { countries: ["FR"] } };

test("in a fleet of any size a node is chosen, and refused, as a look at all nodes does it", () => {
  for (const count of [3, 64, 65, 100]) {
    const some = nodes.slice(0, count);
    const placer = new Placer(new NodeFleet(some));
    let looks = 0;
    let decided = 0;
    const fleet = {
      size: count,
      in: () => (looks++, some),
      placerIn: () => placer,
      decided: () => void decided++,
    };
    const { next, ...decision } = chooseNode(some, asked).decision;
    assert.equal(next?.nodeId, count === 3 ? undefined : "nod_25");
    const looked = next !== undefined && count <= 64 ? { next } : {};
    assert.deepEqual(chooseAnywhere(fleet, { revision: 7 }, asked), {
      ...chooseNode(some, asked),
      decision: { ...decision, ...looked },
    });
    const messages = [() => chooseAnywhere(fleet, { revision: 7 }, tooMuch), () => chooseNode(some, tooMuch)].map(
      messageOf,
    );
    assert.match(messages[0] ?? "", /^No node fits: .* Any one of these would do: allow country/);
    assert.equal(messages[0], messages[1]);
    assert.equal(looks, count <= 64 ? 2 : 0, "small fleets alone are looked through");
    assert.equal(decided, 1, "refusals leave nothing to remember");
  }
});

test("where to move is decided with what is kept of a large fleet, whatever is asked, and with its target as a constraint", () => {
  const placer = new Placer(new NodeFleet(nodes));
  let looks = 0;
  const fleet = { size: nodes.length, in: () => (looks++, nodes), placerIn: () => placer };
  const weighed: PlacementRequest = { ...asked, weights: { latency: 1 }, excludeNodes: ["n-5"] };
  const near: PlacementRequest = { ...asked, affinity: [{ relation: "apart", by: "node", nodes: ["n-3"] }] };
  for (const request of [weighed, near]) {
    const { node } = chooseToward(fleet, {}, request);
    assert.equal(node, chooseNode(nodes, request).node);
  }
  assert.match(chooseToward(fleet, {}, near, { toNode: "n-7" }).node, /^n-7$/);
  assert.equal(looks, 0);
  assert.equal(
    chooseToward(fleet, {}, asked, { toSite: "site-3" }).node,
    chooseNode(nodes, asked, { toSite: "site-3" }).node,
  );
});

const tooMuch: PlacementRequest = { ...asked, constraints: { countries: ["PT"] } };

function messageOf(choose: () => unknown): string {
  try {
    choose();
  } catch (error) {
    if (error instanceof SkerryError) return `${error.message} ${error.remedy}`;
    throw error;
  }
  return "";
}
