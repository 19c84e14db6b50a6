import type { Explanation as Shown, InstanceResource, PlacementChoice, PlacementRefusal } from "@skerry/model";
import type { Candidate, Change, Explanation, NodeFleet, PlacementRequest, Refusal } from "@skerry/placement";

type Spec = InstanceResource["spec"];
export type Knows = (node: Pick<Candidate, "provider">) => boolean;

/** A node, by name only where it may be known. */
export function shownPlace(
  fleet: NodeFleet,
  knows: Knows,
  node: string,
  site: string,
): { node?: string; site: string } {
  const candidate = fleet.named(node);
  return candidate !== undefined && knows(candidate) ? { node, site } : { site };
}

/** As who asks may see it; of the fleet that it is of, as that is now. */
export function shownExplanation(
  explanation: Explanation,
  fleet: NodeFleet,
  knows: Knows,
  asked: PlacementRequest,
  spec: Spec,
): Shown {
  const { considered, fitting, chosen, alternatives, refusals, changes } = explanation;
  const choice = ({ node, site, score, parts }: PlacementChoice & { node: string }): PlacementChoice => ({
    ...shownPlace(fleet, knows, node, site),
    score,
    parts,
  });
  return {
    considered,
    fitting,
    ...(chosen === undefined ? {} : { chosen: choice(chosen) }),
    alternatives: alternatives.map((other) => ({
      ...choice(other),
      losesBy: [...other.losesBy],
      sentence: other.sentence,
    })),
    refusals: refusals.map(shownRefusal),
    changes: changes.map((change) => {
      const { reason, asked: was, instead, node, site, gain, opens, sentence } = change;
      const place = shownPlace(fleet, knows, node, site);
      const isTold = reason !== "node" || place.node !== undefined;
      const fields = isTold ? specOf(change, asked, spec) : undefined;
      return {
        ...{ reason, asked: was, instead, sentence, opens, ...place },
        ...(gain === undefined ? {} : { gain }),
        ...(fields === undefined ? {} : { spec: fields }),
      };
    }),
  };
}

export function shownRefusal({ reason, asked, nodes, nearest, sentence }: Refusal): PlacementRefusal {
  return { reason, asked, nodes, sentence, ...(nearest === undefined ? {} : { nearest }) };
}

/** What of the spec says it; undefined where that does not, as of an image's architecture. */
function specOf({ request, reason }: Change, asked: PlacementRequest, spec: Spec): Record<string, unknown> | undefined {
  const fields: Record<string, unknown> = {};
  for (const field of ["vcpus", "memoryMiB", "diskMiB"] as const)
    if (request[field] !== asked[field]) fields[field] = request[field];
  const { placement } = spec;
  if (reason === "architecture" && placement?.architecture === undefined) return undefined;
  const [before, after] = [placementFields(asked), placementFields(request)];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  );
  if (changed.length > 0) {
    const kept = Object.entries(placement ?? {}).filter(([key]) => !changed.includes(key));
    const fresh = changed.flatMap((key) => (after[key] === undefined ? [] : [[key, after[key]] as const]));
    fields["placement"] = Object.fromEntries([...kept, ...fresh]);
  }
  const dropped = (asked.affinity ?? []).findIndex((term) => request.affinity?.includes(term) !== true);
  if (reason === "affinity" && placement?.affinity?.[dropped] !== undefined) {
    const { affinity, ...others } = placement;
    const left = affinity.filter((_, index) => index !== dropped);
    fields["placement"] = { ...others, ...(left.length === 0 ? {} : { affinity: left }) };
  }
  return Object.keys(fields).length === 0 ? undefined : fields;
}

function placementFields({ constraints, residency, tolerations }: PlacementRequest): Record<string, unknown> {
  return { ...constraints, residency, tolerations };
}
