import type { NodeSight } from "../node-sight.ts";
import type { OperationKind, OperationStepKind, StepContext } from "../operation-kind.ts";
import { instanceOf, untilGuest } from "./instance-step.ts";
import { decide, reasonToLeave, replacementOf, type Outcome, type ReplacementDeps } from "./replacement.ts";

export interface ReplaceKindDeps extends ReplacementDeps {
  readonly sight: NodeSight;
}

const hourMs = 60 * 60_000;
/** Room may come free anywhere: it is looked for this often. */
const lookAgainMs = 5000;
/** How long the new guest gets to start. */
const startLimitMs = 15 * 60_000;

/**
 * Starts an instance anew from its image on another node, once its own has been away for so long that it has surely ended it. Where
 * no other node will do it waits, and looks again; it ends with nothing done when the node comes back.
 */
export function instanceReplaceKind(deps: ReplaceKindDeps): OperationKind {
  return {
    type: "instance.replace",
    deadlineMs: hourMs,
    // Once decided it only watches; and whoever stops or deletes the instance meanwhile means it.
    replaceable: true,
    about(operation) {
      const { instanceId, from } = replacementOf(operation);
      return [instanceId, from.nodeId, ...[operation.status.notes["toNodeId"] ?? []].flat().map(String)];
    },
    steps: () => [place(deps), start(deps)],
    finish(tx, operation) {
      if (operation.status.state !== "succeeded") return undefined;
      const { from } = replacementOf(operation);
      const kept = operation.status.notes["left"];
      if (kept !== undefined) return { replaced: false, why: kept, from: from.node };
      const { assignment } = instanceOf(tx, operation);
      return { replaced: true, from: from.node, to: assignment?.node, epoch: assignment?.epoch };
    },
  };
}

function place(deps: ReplaceKindDeps): OperationStepKind {
  return {
    name: "place",
    async run(context) {
      const { instanceId } = replacementOf(context.operation);
      for (;;) {
        const outcome = await decideSafely(context, deps);
        if (outcome.kind === "void") await context.note({ left: outcome.why });
        if (outcome.kind === "replaced") await context.note({ toNodeId: outcome.toNodeId });
        if (outcome.kind !== "waiting") return;
        context.progress({ message: outcome.why.slice(0, 1024) });
        await context.within(lookAgainMs, (store) => {
          const instance = store.getById("Instance", instanceId);
          return instance === undefined || reasonToLeave(store, instance) !== undefined;
        });
      }
    },
  };
}

/** Nothing is granted to the old node from before its leases are looked at until the decision is durable, or is none. */
async function decideSafely(context: StepContext, deps: ReplaceKindDeps): Promise<Outcome> {
  const replacement = replacementOf(context.operation);
  const { from, operationId } = replacement;
  let mayBeDurable = false;
  deps.leases.withhold(from.nodeId, operationId);
  try {
    const { result } = await context.store.transact((tx) => {
      const outcome = decide(tx, replacement, deps, context.nowMs());
      mayBeDurable = true;
      return outcome;
    });
    mayBeDurable = false;
    return result;
  } finally {
    if (!mayBeDurable) deps.leases.release(from.nodeId, operationId);
  }
}

function start({ sight }: ReplaceKindDeps): OperationStepKind {
  return {
    name: "start",
    limitMs: startLimitMs,
    pointOfNoReturn: true,
    async run(context) {
      if (context.notes["left"] !== undefined) return;
      const { metadata, assignment, spec } = instanceOf(context.store, context.operation);
      if (assignment === undefined) return;
      const { nodeId, epoch } = assignment;
      const goal = spec.healthCheck === undefined ? "running" : "healthy";
      await untilGuest(context, sight, goal, { nodeId, id: metadata.id, epoch });
    },
  };
}
