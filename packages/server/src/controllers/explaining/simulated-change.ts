import type { NodeResource, SimulatedChange } from "@skerry/model";
import type { Candidate, FleetChange, NodeFleet, Steps } from "@skerry/placement";
import type { View } from "@skerry/store";
import { candidateOf, idle, measuredMs } from "../placing.ts";
import { missingReference, invalidField } from "../refusal.ts";
import type { Knows } from "./shown.ts";

/** A change for the engine, and in words. */
export interface ChangeInWords {
  readonly change: FleetChange;
  readonly sentence: string;
}

/** @throws SkerryError invalid-request for what names a thing that is not there, or that who asks may not know of */
export function* changeOf(
  view: View,
  fleet: NodeFleet,
  knows: Knows,
  asked: SimulatedChange,
  index: number,
): Steps<ChangeInWords> {
  yield;
  const path = `/changes/${index}`;
  if ("without" in asked) return without(view, fleet, knows, asked.without, path);
  if ("nodes" in asked) return yield* moreNodes(view, fleet, asked.nodes, path, index);
  const { name, latencies, ...facts } = asked.site;
  if (view.get("Site", { name }) === undefined) throw missingReference(`${path}/site/name`, "Site", name);
  const measured = latencies === undefined ? {} : { measuredMs: measuredMs(latencies) };
  const words = [
    ...Object.entries(facts).map(([field, value]) => `${field} ${JSON.stringify(value)}`),
    ...(latencies ?? []).map(({ from, milliseconds }) => `${milliseconds} ms from ${from}`),
  ];
  return {
    change: { change: "site", site: name, facts: { ...facts, ...measured } },
    sentence: `site ${name} with ${words.join(", ")}`,
  };
}

type Without = Extract<SimulatedChange, { without: unknown }>["without"];

function without(view: View, fleet: NodeFleet, knows: Knows, asked: Without, path: string): ChangeInWords {
  const [what = "site"] = (["site", "provider", "country", "node"] as const).filter((key) => key in asked);
  const name = Object.values(asked).join();
  if (what === "node") {
    const node = fleet.named(name);
    if (node === undefined || !knows(node)) throw missingReference(`${path}/without/node`, "Node", name);
  } else if (what !== "country") {
    const kind = what === "site" ? "Site" : "Provider";
    if (view.get(kind, { name }) === undefined) throw missingReference(`${path}/without/${what}`, kind, name);
  }
  return { change: { change: "without", what, name }, sentence: `without ${what} ${name}` };
}

type More = Extract<SimulatedChange, { nodes: unknown }>["nodes"];

function* moreNodes(view: View, fleet: NodeFleet, asked: More, path: string, index: number): Steps<ChangeInWords> {
  const { count, country, capacity, architecture = "x86_64", labels = {} } = asked;
  const site = asked.site ?? (country === undefined ? undefined : yield* largestSiteIn(fleet, country));
  if (site === undefined) {
    const what =
      country === undefined ? "must have a site or a country" : `has the country ${country}, where no site has nodes`;
    throw invalidField(`${path}/nodes`, what, "Name a site: see skerry site list");
  }
  const first = candidateOf(view, nodeAt(site, "", capacity, architecture, labels), idle);
  if (first === undefined) throw missingReference(`${path}/nodes/site`, "Site", site);
  // Called as no node can be, so that they stand in no node's way.
  const nodes = Array.from({ length: count }, (_, serial): Candidate => {
    const name = `simulated/${index + 1}-${serial + 1}`;
    return { ...first, name, id: name };
  });
  const { vcpus, memoryMiB } = capacity;
  return {
    change: { change: "nodes", nodes },
    sentence: `${count} more ${count === 1 ? "node" : "nodes"} of ${vcpus} vCPU and ${memoryMiB} MiB at ${site}`,
  };
}

/** What a node is called in a reply, whether it is there or would be. */
export function shownName(name: string): string {
  return name.replaceAll("simulated/", "simulated-");
}

const looksPerStep = 512;

/** The first by name where several have as many. */
function* largestSiteIn(fleet: NodeFleet, country: string): Steps<string | undefined> {
  const counts = new Map<string, number>();
  let looks = 0;
  for (const node of fleet.nodes()) {
    if (++looks % looksPerStep === 0) yield;
    if (node.country === country) counts.set(node.site, (counts.get(node.site) ?? 0) + 1);
  }
  const [largest] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return largest?.[0];
}

/** A node that is not there, as one would be that has joined and holds nothing. */
function nodeAt(
  site: string,
  name: string,
  capacity: More["capacity"],
  architecture: NonNullable<More["architecture"]>,
  labels: Readonly<Record<string, string>>,
): NodeResource {
  const at = "1970-01-01T00:00:00.000Z";
  return {
    kind: "Node",
    metadata: { name, id: name, revision: 0, generation: 1, labels: { ...labels }, createdAt: at, updatedAt: at },
    spec: { site },
    status: {
      connected: true,
      conditions: [],
      facts: {
        ...{ hostname: name, operatingSystem: "", kernel: "", agentVersion: "", versions: {} },
        ...{ architecture, driver: "simulated", accelerator: "simulated", capacity },
      },
    },
  };
}
