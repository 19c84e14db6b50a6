import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { parse } from "yaml";
import type { Explanation, PlacementExplanation, PlacementSimulation } from "@skerry/model";
import { readSimulation } from "../src/commands/placement.ts";
import { explanationLines, simulationLines, unpainted } from "../src/output/placement-lines.ts";

const explanation: Explanation = {
  considered: 4,
  fitting: 2,
  chosen: { node: "lis-1", site: "lisbon", score: 0.301, parts: { spread: 0.025, carbon: 0.276 } },
  alternatives: [
    {
      ...{ node: "mad-1", site: "madrid", score: 0.425, parts: { spread: 0.025, carbon: 0.4 } },
      losesBy: [{ part: "carbon", difference: 0.124 }],
      sentence: "mad-1 scores 0.12 worse: more carbon by 0.12",
    },
  ],
  refusals: [
    {
      ...{ reason: "latency", asked: "12 ms from Madrid", nodes: 2, sentence: "" },
      nearest: { value: 19.84, opens: 1, advice: "allow 19.9 ms from Madrid" },
    },
    { reason: "unhealthy", asked: "a healthy node", nodes: 1, sentence: "" },
  ],
  changes: [
    {
      ...{ reason: "latency", asked: "12 ms from Madrid", instead: "19.9 ms instead of 12 ms from Madrid" },
      ...{ node: "par-1", site: "paris", gain: 0.2, opens: { nodes: 1, sites: 1 } },
      sentence: "19.9 ms instead of 12 ms from Madrid saves 64 % carbon",
    },
  ],
};
const told: PlacementExplanation = {
  instance: { project: "shop", name: "web" },
  decided: {
    ...{ told: "replayed", why: "The engine decided it again, and alike.", at: "2026-11-22T10:00:00.000Z" },
    ...{ node: "lis-1", site: "lisbon", reason: "lis-1: free 3 vCPU and 7 GiB; 2 of 4 nodes fit" },
    decision: { revision: 41, generation: 1, considered: 4, fitting: 2, parts: { spread: 0.025, carbon: 0.276 } },
    explanation,
  },
  now: { revision: 57, stays: false, explanation: { ...explanation, changes: [], alternatives: [], refusals: [] } },
};

test("an explanation is printed as aligned tables, the decision's own apart from that of now", () => {
  assert.deepEqual(explanationLines(told, unpainted), [
    "shop/web is on lis-1 at lisbon, since 2026-11-22T10:00:00.000Z",
    "  lis-1: free 3 vCPU and 7 GiB; 2 of 4 nodes fit",
    "",
    "AS IT WAS DECIDED: replayed",
    "  The engine decided it again, and alike.",
    "  2 of 4 nodes fit",
    "",
    "  NODE   SITE    SCORE  OF WHICH                    WHY",
    "  lis-1  lisbon  0.301  spread 0.025, carbon 0.276  chosen",
    "  mad-1  madrid  0.425  spread 0.025, carbon 0.4    mad-1 scores 0.12 worse: more carbon by 0.12",
    "",
    "  WHY NOT    NODES  ASKED              LEAST CHANGE",
    "  latency        2  12 ms from Madrid  allow 19.9 ms from Madrid (opens 1)",
    "  unhealthy      1  a healthy node     -",
    "",
    "  WHAT WOULD CHANGE IT",
    "  19.9 ms instead of 12 ms from Madrid saves 64 % carbon (par-1 at paris)",
    "",
    "AS IT WOULD BE DECIDED NOW (revision 57): it would go elsewhere",
    "  2 of 4 nodes fit",
    "",
    "  NODE   SITE    SCORE  OF WHICH                    WHY",
    "  lis-1  lisbon  0.301  spread 0.025, carbon 0.276  chosen",
    "",
    "  WHAT WOULD CHANGE IT",
    "  No single thing asked otherwise would.",
  ]);
});

test("what is only kept of a decision is printed as that, and colours change no column", () => {
  const { explanation: _gone, ...kept } = told.decided;
  const { node: _hidden, ...unnamed } = kept;
  const lines = explanationLines(
    { ...told, decided: { ...unnamed, told: "kept", why: "No longer known." } },
    unpainted,
  );
  assert.equal(lines[0], "shop/web is on a node at lisbon, since 2026-11-22T10:00:00.000Z");
  assert.deepEqual(lines.slice(3, 6), [
    "AS IT WAS DECIDED: what was kept",
    "  No longer known.",
    "  4 nodes, 2 of them fitted; score 0.301: spread 0.025, carbon 0.276",
  ]);
  const red = (text: string): string => `\u001b[31m${text}\u001b[39m`;
  const painted = explanationLines(told, { title: red, good: red, bad: red, faint: red });
  assert.deepEqual(
    painted.map((line) => stripVTControlCharacters(line)),
    explanationLines(told, unpainted),
  );
});

test("a simulation is a line for each instance, and the sums", () => {
  const placed = (node: string, site: string) =>
    ({ outcome: "placed", choice: { node, site, score: 0.3, parts: {} } }) as const;
  const simulation: PlacementSimulation = {
    revision: 57,
    nodes: { now: 4, changed: 3 },
    changes: [{ sentence: "without site paris", nodes: 1 }],
    placements: [
      {
        ...{ name: "web", project: "shop", effect: "elsewhere", present: { node: "par-1", site: "paris" } },
        now: placed("par-1", "paris"),
        changed: placed("mad-1", "madrid"),
      },
      {
        ...{ name: "db", project: "shop", effect: "lost", now: placed("par-1", "paris") },
        changed: { outcome: "refused", reason: "No node fits: country: 3 of 3 nodes are not in FR." },
      },
    ],
    totals: { same: 0, elsewhere: 1, lost: 1, gained: 0 },
  };
  assert.deepEqual(simulationLines(simulation, unpainted), [
    "4 nodes at revision 57, 3 with the changes; nothing was changed",
    "  without site paris: 1 node",
    "",
    "INSTANCE  IS ON  NOW            WITH THE CHANGES  EFFECT",
    "shop/web  par-1  par-1 (paris)  mad-1 (madrid)    elsewhere",
    "shop/db   -      par-1 (paris)  no node fits      lost",
    "shop/db: No node fits: country: 3 of 3 nodes are not in FR.",
    "0 the same, 1 elsewhere, 1 lost, 0 gained",
  ]);
});

test("every example is a simulation, of the chosen project where it names none", async () => {
  const folder = new URL("../../../docs/examples/", import.meta.url);
  const names = (await readdir(folder)).filter((name) => name.endsWith(".yaml"));
  assert.ok(names.length >= 3);
  for (const name of names) {
    const { requests = [], instances = [] } = readSimulation(
      parse(await readFile(new URL(name, folder), "utf8")),
      name,
      "shop",
    );
    for (const { project } of [...requests, ...instances]) assert.equal(project, "shop");
  }
  assert.throws(() => readSimulation({ changes: [{ without: {} }] }, "x.yaml", "shop"), /simulation in x.yaml/);
  assert.throws(() => readSimulation({ instances: [{ name: "web" }] }, "x.yaml", undefined), /project/);
  assert.throws(() => readSimulation("text", "x.yaml", undefined), /simulation in x.yaml/);
});
