import { SkerryError, simulationLimits, type InstanceResource, type SimulationRequest } from "@skerry/model";

/** An explanation looks at all nodes: it counts as so many requests. */
export const explanationCost = 5;
/** So many nodes that are not there take what a request does. */
const nodesPerRequest = 20;

/**
 * As how many requests a simulation counts: for each placement and each selector of its affinities, for changes, and for nodes that they
 * bring.
 * @param instances those that are to be placed anew
 * @throws SkerryError too-large for too many nodes
 */
export function simulationCost(
  { requests = [], changes = [], displaced }: SimulationRequest,
  instances: readonly InstanceResource[],
): number {
  const brought = changes.reduce((sum, change) => sum + ("nodes" in change ? change.nodes.count : 0), 0);
  if (brought > simulationLimits.nodes) throw tooManyNodes(brought);
  const fresh = requests.reduce((sum, { count = 1, placement }) => sum + count * costOf(placement), 0);
  const present = instances.reduce((sum, { spec }) => sum + costOf(spec.placement), 0);
  const all = displaced === true ? simulationLimits.placements : 0;
  return explanationCost + fresh + present + changes.length + Math.ceil(brought / nodesPerRequest) + all;
}

function costOf(placement: InstanceResource["spec"]["placement"]): number {
  return 1 + (placement?.affinity?.length ?? 0);
}

function tooManyNodes(count: number): SkerryError {
  const { nodes } = simulationLimits;
  return new SkerryError("too-large", `A simulation brings at most ${nodes} nodes, and this brings ${count}.`, {
    remedy: "Ask for fewer more nodes at once.",
    facts: { most: nodes },
  });
}
