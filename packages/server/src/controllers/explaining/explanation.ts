import { isDeepStrictEqual } from "node:util";
import { SkerryError, type InstanceResource, type PlacementExplanation } from "@skerry/model";
import {
  explainSteps,
  giveBack,
  type Explanation,
  type Placer,
  type PlacementRequest,
  type Steps,
} from "@skerry/placement";
import type { View } from "@skerry/store";
import type { Rights } from "../../authorisation/rights.ts";
import type { Fleet } from "../fleet.ts";
import { mayKnow, namingFor } from "../node-naming.ts";
import { shownExplanation, type Knows } from "./shown.ts";

export interface ExplanationDeps {
  readonly view: View;
  readonly fleet: Pick<Fleet, "snapshot" | "requestOf">;
}

/**
 * Why an instance is where it is: the decision as it was made, where the nodes as they were then are still known, and what the engine
 * would decide now, each for itself.
 * @throws SkerryError conflict for one that has no place
 */
export function* explainPlacement(
  { view, fleet }: ExplanationDeps,
  instance: InstanceResource,
  rights: Rights,
): Steps<PlacementExplanation> {
  const { assignment, metadata } = instance;
  if (assignment === undefined)
    throw new SkerryError("conflict", `${metadata.name} has no node.`, { remedy: "Wait until it has been placed." });
  const { decision } = assignment;
  const { revision, placer, past } = fleet.snapshot(decision?.revision);
  const knows = mayKnow(rights);
  const told: Told = { placer, rights, knows, spec: instance.spec };
  const now = yield* explainNow(told, fleet.requestOf(view, instance), assignment.nodeId);
  const here = placer.fleet.named(assignment.node);
  const site = here?.site ?? instance.status.site;
  const isKnown = here !== undefined && knows(here);
  const then = past === undefined ? undefined : yield* explainThen(told, past, instance);
  return {
    instance: { project: metadata.project ?? "", name: metadata.name },
    decided: {
      told: then === undefined ? "kept" : "replayed",
      why: whyTold(decision?.revision, past !== undefined, then !== undefined),
      at: assignment.since,
      ...(isKnown ? { node: assignment.node, reason: assignment.reason } : {}),
      ...(site === undefined ? {} : { site }),
      ...(decision === undefined ? {} : { decision }),
      ...(then === undefined ? {} : { explanation: then }),
    },
    now: { revision, ...now },
  };
}

interface Told {
  readonly placer: Placer;
  readonly rights: Rights;
  readonly knows: Knows;
  readonly spec: InstanceResource["spec"];
}

type Shown = PlacementExplanation["now"]["explanation"];

/** As if it were placed anew: what it takes is given back for as long. */
function* explainNow(
  told: Told,
  request: PlacementRequest,
  nodeId: string,
): Steps<{ readonly stays: boolean; readonly explanation: Shown }> {
  const { fleet } = told.placer;
  const slot = fleet.slotOf(nodeId);
  const here = slot === undefined ? undefined : fleet.at(slot);
  giveBack(told.placer, { nodeId, takes: request });
  const explained = yield* explain(told, request);
  if (here !== undefined) fleet.put(here);
  return { stays: here !== undefined && explained.whole.chosen?.node === here.name, explanation: explained.shown };
}

/** Undefined where it comes out otherwise than it did. */
function* explainThen(
  told: Told,
  past: { readonly request: PlacementRequest; readonly setBack: Steps<void> },
  { assignment }: InstanceResource,
): Steps<Shown | undefined> {
  yield* past.setBack;
  const { whole, shown } = yield* explain(told, past.request);
  const isAlike =
    whole.chosen?.node === assignment?.node && isDeepStrictEqual(whole.chosen?.parts, assignment?.decision?.parts);
  return isAlike ? shown : undefined;
}

function* explain(
  { placer, rights, knows, spec }: Told,
  request: PlacementRequest,
): Steps<{ readonly whole: Explanation; readonly shown: Shown }> {
  const whole = yield* explainSteps(placer, request, namingFor(rights));
  return { whole, shown: shownExplanation(whole, placer.fleet, knows, request, spec) };
}

function whyTold(revision: number | undefined, isRemembered: boolean, isReplayed: boolean): string {
  if (revision === undefined)
    return "Nothing but its reason was kept: an older version decided it, or a move that failed went back.";
  if (isReplayed) return `The engine decided it again on the nodes as they were at revision ${revision}, and alike.`;
  if (isRemembered)
    return `Decided again on what is remembered of revision ${revision} it would come out otherwise, so that is not told.`;
  return `The nodes as they were at revision ${revision} are no longer known: what the server remembers of them goes back to its start, for some thousand decisions.`;
}
