import {
  SkerryError,
  simulationLimits,
  type InstanceResource,
  type PlacementSimulation,
  type SimulatedPlacement,
  type SimulationRequest,
} from "@skerry/model";
import {
  simulateSteps,
  type AffinityTerm,
  type NodeFleet,
  type PlacementRequest,
  type Simulated,
  type Steps,
  type Subject,
} from "@skerry/placement";
import type { Documents, View } from "@skerry/store";
import type { Rights } from "../../authorisation/rights.ts";
import { termsTowards } from "../affinity-book.ts";
import type { Fleet } from "../fleet.ts";
import { mayKnow, namingFor } from "../node-naming.ts";
import { requestFor, requestOf } from "../placing.ts";
import { hasAll } from "../project-peers.ts";
import { shownPlace, shownRefusal, type Knows } from "./shown.ts";
import { changeOf, shownName, type ChangeInWords } from "./simulated-change.ts";

export interface SimulationDeps {
  readonly view: View & { readonly documents: Documents };
  readonly fleet: Pick<Fleet, "snapshot" | "requestOf" | "withPeers">;
}

interface Named {
  readonly project: string;
  readonly name: string;
  /** Where it is. */
  readonly instance?: InstanceResource;
  readonly labels: Readonly<Record<string, string>>;
  readonly placement: InstanceResource["spec"]["placement"];
  /** Without its peers. */
  readonly request: PlacementRequest;
}

/**
 * What the engine would do with all that is asked, as things are and with the changes. That who asks may read what it names is for the
 * caller to see to.
 * @throws SkerryError invalid-request, not-found or too-large
 */
export function* simulatePlacement(
  { view, fleet }: SimulationDeps,
  asked: SimulationRequest,
  rights: Rights,
): Steps<PlacementSimulation> {
  const { revision, placer } = fleet.snapshot();
  const knows = mayKnow(rights);
  yield;
  const changes: ChangeInWords[] = [];
  for (const change of asked.changes ?? [])
    changes.push(yield* changeOf(view, placer.fleet, knows, change, changes.length));
  const named = [...newOnes(asked), ...presentOnes(view, asked)];
  if (asked.displaced === true) {
    const known = new Set(named.flatMap(({ instance }) => instance?.metadata.id ?? []));
    named.push(...(yield* displacedOnes(view, placer.fleet, changes, rights, known)));
  }
  if (named.length > simulationLimits.placements) throw tooMany(named.length);
  // Named before the changes take nodes away.
  const present = named.map(({ instance }) => presentPlace(placer.fleet, knows, instance));
  const subjects = yield* subjectsOf(named, view, fleet);
  const naming = namingFor(rights);
  const result = yield* simulateSteps(
    placer,
    subjects,
    changes.map(({ change }) => change),
    (node) => shownName(naming(node)),
  );
  const totals = { same: 0, elsewhere: 0, lost: 0, gained: 0 };
  const placements = named.map(({ project, name }, index) => {
    const { now, changed } = result.subjects[index] ?? { now: undefined, changed: undefined };
    const effect = effectOf(now, changed);
    totals[effect] += 1;
    const at = present[index];
    return {
      ...{ name, project, effect },
      ...(at === undefined ? {} : { present: at }),
      now: shownOutcome(knows, now),
      changed: shownOutcome(knows, changed),
    };
  });
  return {
    revision,
    nodes: result.nodes,
    changes: changes.map(({ sentence }, index) => ({ sentence, nodes: result.touched[index] ?? 0 })),
    placements,
    totals,
  };
}

function newOnes({ requests = [] }: SimulationRequest): Named[] {
  return requests.flatMap(({ count = 1, ...asked }) =>
    Array.from({ length: count }, (_, serial) => {
      const name = count === 1 ? asked.name : `${asked.name}-${serial + 1}`;
      const request = requestFor({ diskMiB: 1, ...asked });
      const { project, labels = {}, placement } = asked;
      return { project, name, labels, placement, request };
    }),
  );
}

function presentOnes(view: View, { instances = [] }: SimulationRequest): Named[] {
  return instances.map(({ project, name }) => {
    const instance = view.get("Instance", { project, name });
    if (instance === undefined)
      throw new SkerryError("not-found", `There is no Instance ${name} in project ${project}.`, {
        remedy: `See what there is: skerry instance list --project ${project}`,
      });
    return presentOne(view, instance);
  });
}

function presentOne(view: View, instance: InstanceResource): Named {
  const { project = "", name, labels } = instance.metadata;
  return { project, name, instance, labels, placement: instance.spec.placement, request: requestOf(view, instance) };
}

/** Peers that are placed anew too are where they go, and not where they are. */
function* subjectsOf(named: readonly Named[], view: View, fleet: SimulationDeps["fleet"]): Steps<Subject[]> {
  const ids = named.flatMap(({ instance }) => instance?.metadata.id ?? []);
  const subjects: Subject[] = [];
  for (const [index, { project, labels, placement, request: alone, instance }] of named.entries()) {
    yield;
    const asking = { project, labels, ...(placement === undefined ? {} : { placement }) };
    const { affinity: terms = [], ...request } = fleet.withPeers(view, alone, asking, ids);
    const asks = placement?.affinity ?? [];
    const nodeId = instance?.assignment?.nodeId;
    subjects.push({
      request(places) {
        const before = named.slice(0, index).flatMap((other, at) => {
          const node = places[at];
          return node === undefined || other.project !== project ? [] : [{ ...other, node }];
        });
        const own = terms.map((term, at): AffinityTerm => {
          const ask = asks[at];
          const beside = ask === undefined ? [] : before.filter((other) => hasAll(other.labels, ask.labels));
          return { ...term, nodes: [...term.nodes, ...beside.map(({ node }) => node)] };
        });
        const theirs = before.flatMap(({ placement: wish, node }) =>
          termsTowards({ asks: wish?.affinity ?? [], nodes: [node] }, labels),
        );
        return own.length + theirs.length === 0 ? request : { ...request, affinity: [...own, ...theirs] };
      },
      ...(nodeId === undefined ? {} : { present: { nodeId, takes: alone } }),
    });
  }
  return subjects;
}

/** What is on nodes that the changes take away, as far as who asks may read it. */
function* displacedOnes(
  view: SimulationDeps["view"],
  fleet: NodeFleet,
  changes: readonly ChangeInWords[],
  rights: Rights,
  known: ReadonlySet<string>,
): Steps<Named[]> {
  const found: Named[] = [];
  for (const { change } of changes) {
    if (change.change !== "without") continue;
    for (const node of fleet.nodes()) {
      if ((change.what === "node" ? node.name : node[change.what]) !== change.name) continue;
      yield;
      for (const { key, id } of view.documents.onNode("Instance", node.id)) {
        if (known.has(id) || !rights.allow("read", "Instance", { project: key.project })) continue;
        const instance = view.getById("Instance", id);
        if (instance === undefined || instance.assignment?.nodeId !== node.id) continue;
        if (!found.some(({ instance: other }) => other?.metadata.id === id)) found.push(presentOne(view, instance));
        if (found.length > simulationLimits.placements) throw tooMany(found.length);
      }
    }
  }
  return found;
}

function tooMany(count: number): SkerryError {
  const { placements } = simulationLimits;
  return new SkerryError("too-large", `A simulation places at most ${placements}, and this is ${count} or more.`, {
    remedy: "Ask for fewer at once, or take away less.",
    facts: { most: placements },
  });
}

function presentPlace(
  fleet: NodeFleet,
  knows: Knows,
  instance: InstanceResource | undefined,
): { node?: string; site?: string } | undefined {
  const { assignment } = instance ?? {};
  const node = assignment === undefined ? undefined : fleet.named(assignment.node);
  return node === undefined ? undefined : shownPlace(fleet, knows, node.name, node.site);
}

function effectOf(now: Simulated, changed: Simulated): "same" | "elsewhere" | "lost" | "gained" {
  const [before, after] = [now, changed].map((one) => (one?.outcome === "placed" ? one.node.id : undefined));
  if (before === after) return "same";
  if (after === undefined) return "lost";
  return before === undefined ? "gained" : "elsewhere";
}

function shownOutcome(knows: Knows, decision: Simulated): SimulatedPlacement {
  if (decision === undefined) return { outcome: "refused" };
  if (decision.outcome === "refused")
    return { outcome: "refused", reason: decision.reason, refusals: decision.refusals.map(shownRefusal) };
  const { node, parts } = decision;
  const score = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const place = knows(node) ? { node: shownName(node.name), site: node.site } : { site: node.site };
  return { outcome: "placed", choice: { ...place, score, parts } };
}
