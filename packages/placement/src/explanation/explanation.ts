import { scorePartNames, type ScorePartName, type ScoreParts } from "@skerry/model";
import type { Candidate } from "../candidate.ts";
import { byName, type Naming } from "../naming.ts";
import { explainNodes } from "../place.ts";
import type { Placer } from "../placer.ts";
import type { Refusal, RefusalReason } from "../refusal.ts";
import type { PlacementRequest } from "../request.ts";
import { scoreOf } from "../score.ts";
import { finish, type Steps } from "../steps.ts";
import { count, milliseconds } from "../wording.ts";
import { relaxations, smaller } from "./relaxation.ts";
import { scoreParts, slowestMs } from "./score-parts.ts";

/** Why here, why not there, and what would change it. */
export interface Explanation {
  readonly considered: number;
  readonly fitting: number;
  /** Undefined where no node fits. */
  readonly chosen: Choice | undefined;
  /** The next best nodes that fit, best first. */
  readonly alternatives: readonly Alternative[];
  /** How many nodes fail each thing; a node that fails several counts for each. */
  readonly refusals: readonly Refusal[];
  /** Every thing that alone, asked for otherwise, would open a node, or a better one; found by the engine itself. */
  readonly changes: readonly Change[];
}

export interface Choice {
  readonly node: string;
  readonly site: string;
  /** Less is better; the sum of its parts. */
  readonly score: number;
  readonly parts: ScoreParts;
}

export interface Alternative extends Choice {
  /** What makes it worse than the chosen one, most first, as parts of the score and by how much. */
  readonly losesBy: readonly { readonly part: ScorePartName; readonly difference: number }[];
  readonly sentence: string;
}

export interface Change {
  readonly reason: RefusalReason;
  readonly asked: string;
  readonly instead: string;
  /** What to ask. */
  readonly request: PlacementRequest;
  /** Where it would then go. */
  readonly node: string;
  readonly site: string;
  /** By how much less it would score there; undefined where nothing fits now. */
  readonly gain: number | undefined;
  /** What would fit besides what does now. */
  readonly opens: { readonly nodes: number; readonly sites: number };
  readonly sentence: string;
}

const alternativesTold = 3;

/** Costs a look at each node for the counts, and a few decisions for each thing that is asked. */
export function explainDecision(placer: Placer, request: PlacementRequest): Explanation {
  return finish(explainSteps(placer, request));
}

/**
 * The same with a rest after each part of the work. Nothing may change meanwhile.
 * @param naming what nodes are called in sentences
 */
export function* explainSteps(placer: Placer, request: PlacementRequest, naming: Naming = byName): Steps<Explanation> {
  const { fleet } = placer;
  const { slot } = placer.best(request);
  const chosen = slot < 0 ? undefined : fleet.at(slot);
  const fitting = placer.fitting(request);
  yield;
  const others = chosen === undefined ? [] : yield* alternatives(placer, request, chosen, naming);
  const refusals = yield* explainNodes(request, fleet, naming);
  const telling = { placer, request, naming };
  return {
    considered: fleet.size,
    fitting: fitting.nodes,
    chosen: chosen && choice(placer, request, chosen),
    alternatives: others,
    refusals,
    changes:
      chosen === undefined
        ? [...(yield* openings(telling)), ...(yield* smallerOpenings(telling))]
        : yield* improvements(telling, chosen),
  };
}

interface Telling {
  readonly placer: Placer;
  readonly request: PlacementRequest;
  readonly naming: Naming;
}

function choice({ fleet }: Placer, request: PlacementRequest, node: Candidate): Choice {
  const parts = scoreParts(request, node, fleet);
  const score = Object.values(parts).reduce((sum, part) => sum + part, 0);
  return { node: node.name, site: node.site, score, parts };
}

function* alternatives(
  placer: Placer,
  request: PlacementRequest,
  chosen: Candidate,
  naming: Naming,
): Steps<Alternative[]> {
  const best = choice(placer, request, chosen);
  const found: Alternative[] = [];
  const passed = [...(request.excludeNodes ?? []), chosen.name];
  while (found.length < alternativesTold) {
    const { slot } = placer.best({ ...request, excludeNodes: passed });
    if (slot < 0) break;
    const node = placer.fleet.at(slot);
    const other = choice(placer, request, node);
    passed.push(other.node);
    const losesBy = scorePartNames
      .map((part) => ({ part, difference: (other.parts[part] ?? 0) - (best.parts[part] ?? 0) }))
      .filter(({ difference }) => difference > 0)
      .sort((a, b) => b.difference - a.difference);
    const why = losesBy.map(({ part, difference }) => `${partWords[part]} ${difference.toPrecision(2)}`).join(", ");
    const sentence =
      losesBy.length === 0 || other.score === best.score
        ? `${naming(node)} is as good: ties go by name or seed`
        : `${naming(node)} scores ${(other.score - best.score).toPrecision(2)} worse: ${why}`;
    found.push({ ...other, losesBy, sentence });
    yield;
  }
  return found;
}

const partWords: Readonly<Record<ScorePartName, string>> = {
  spread: "fuller by",
  pack: "emptier by",
  price: "dearer by",
  carbon: "more carbon by",
  latency: "farther by",
  affinity: "its peers count",
  stayPut: "the move counts",
};

/** Where nothing fits: what alone would let a node fit, by the least change. */
function* openings({ placer, request, naming }: Telling): Steps<Change[]> {
  const found: Change[] = [];
  for (const relaxation of relaxations(request, placer.fleet.words.taints.words, naming)) {
    yield;
    const { reason, asked, towards, nearest = [relaxation.without] } = relaxation;
    const node = nearest.reduce<Candidate | undefined>((found, next) => found ?? nodeOf(placer, next), undefined);
    if (node === undefined) continue;
    const { request: relaxed, instead } = towards(node);
    found.push(...opened(placer, { reason, asked, instead, request: relaxed }));
  }
  return found;
}

function whereOf({ name, site }: Candidate): Pick<Change, "node" | "site"> {
  return { node: name, site };
}

/** The nearest node that a change opens is not always the best of those that it opens. */
function opened(placer: Placer, change: Pick<Change, "reason" | "asked" | "instead" | "request">): Change[] {
  const node = nodeOf(placer, change.request);
  if (node === undefined) return [];
  const opens = placer.fitting(change.request);
  const sentence = `${change.instead} opens ${count(opens.nodes, "node")} at ${count(opens.sites, "site")}`;
  return [{ ...change, ...whereOf(node), gain: undefined, opens, sentence }];
}

/** Where nothing fits: the most of each resource that would. */
function* smallerOpenings({ placer, request }: Telling): Steps<Change[]> {
  const found: Change[] = [];
  for (const { reason, asked, least, print, with: resized } of smaller(request)) {
    yield;
    if (asked <= least || placer.best(resized(least)).slot < 0) continue;
    // What fits with more fits with less: halve until the border is found.
    let [fits, fails] = [least, asked];
    while (fails - fits > 1) {
      const middle = Math.floor((fits + fails) / 2);
      if (placer.best(resized(middle)).slot >= 0) fits = middle;
      else fails = middle;
      yield;
    }
    const instead = `${print(fits)} instead of ${print(asked)}`;
    found.push(...opened(placer, { reason, asked: print(asked), instead, request: resized(fits) }));
  }
  return found;
}

/** Where it was placed: what alone would let it go somewhere better. */
function* improvements({ placer, request, naming }: Telling, chosen: Candidate): Steps<Change[]> {
  const before = placer.best(request).cost;
  const fits = placer.fitting(request);
  const found: Change[] = [];
  for (const { reason, asked, without, towards } of relaxations(request, placer.fleet.words.taints.words, naming)) {
    yield;
    const { slot, cost } = placer.best(without);
    if (slot < 0 || cost >= before) continue;
    const node = placer.fleet.at(slot);
    const { request: relaxed, instead } = towards(node);
    const after = placer.fitting(relaxed);
    const opens = { nodes: after.nodes - fits.nodes, sites: after.sites - fits.sites };
    const sentence = `${instead} ${savings(request, chosen, node, naming)}`;
    found.push({ reason, asked, instead, request: relaxed, ...whereOf(node), gain: before - cost, opens, sentence });
  }
  return found.sort((a, b) => (b.gain ?? 0) - (a.gain ?? 0));
}

/** What is better on another node, in the units of the world. */
function savings(request: PlacementRequest, from: Candidate, to: Candidate, naming: Naming): string {
  const { weights = { spread: 1 } } = request;
  const parts: string[] = [];
  const less = (
    weight: number | undefined,
    before: number | undefined,
    after: number | undefined,
    noun: string,
  ): void => {
    if ((weight ?? 0) === 0 || before === undefined || after === undefined || after >= before) return;
    parts.push(`saves ${Math.round((100 * (before - after)) / before)} % ${noun}`);
  };
  less(weights.carbon, from.carbonGramsPerKWh, to.carbonGramsPerKWh, "carbon");
  less(weights.price, from.eurosPerVcpuHour, to.eurosPerVcpuHour, "of the price");
  const [before, after] = [slowestMs(request, from), slowestMs(request, to)];
  if ((weights.latency ?? 0) > 0 && after < before) parts.push(`is ${milliseconds(before - after)} nearer`);
  const [used, use] = [scoreOf(from, request).use, scoreOf(to, request).use];
  if ((weights.spread ?? 0) > 0 && use < used)
    parts.push(`fills its node to ${Math.round(100 * use)} % instead of ${Math.round(100 * used)} %`);
  if ((weights.pack ?? 0) > 0 && use > used)
    parts.push(`fills its node to ${Math.round(100 * use)} % instead of ${Math.round(100 * used)} %`);
  return parts.length === 0 ? `leads to ${naming(to)}, which scores less` : parts.join(", ");
}

function nodeOf(placer: Placer, request: PlacementRequest): Candidate | undefined {
  const { slot } = placer.best(request);
  return slot < 0 ? undefined : placer.fleet.at(slot);
}
