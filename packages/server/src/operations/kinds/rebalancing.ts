import type { Reference } from "@skerry/model";
import type { View } from "@skerry/store";
import type { OperationKind, OperationStepKind, StepContext } from "../operation-kind.ts";
import { Convoy, type ConvoyDeps, type Pace, type Passenger } from "./convoy/convoy.ts";
import { notesOf, reportOf } from "./convoy/notes.ts";

export const rebalanceType = "placement.rebalance";
/** One of the zone at a time. */
export const rebalanceSubject: Reference = { kind: "Placement", name: "rebalance" };

/** What a rebalancing was asked to do: moves that were found, each from where it was then. */
export interface RebalancingInput extends Pace {
  readonly moves: readonly {
    readonly instanceId: string;
    readonly from: { readonly node: string; readonly nodeId: string };
    readonly to: { readonly node: string };
  }[];
}

const dayMs = 24 * 60 * 60_000;

/** Carries out moves that were found to gain something, at a pace and within disruption budgets; what can't go any more stays. */
export function rebalancingKind({ convoys }: { readonly convoys: ConvoyDeps }): OperationKind {
  const convoy = (context: StepContext): Convoy => {
    const input = context.operation.spec.input as unknown as RebalancingInput;
    return new Convoy(convoys, context, input, (view) => leftToMove(view, input));
  };
  const move: OperationStepKind = {
    name: "move",
    run: (context) => convoy(context).run(),
    compensate: (context) => convoy(context).halt(),
  };
  return {
    type: rebalanceType,
    deadlineMs: dayMs,
    steps: () => [move],
    finish: (_tx, operation) => reportOf(notesOf(operation)),
  };
}

/** Those that are still where they were found; whoever was moved by others meanwhile is left where they put it. */
function leftToMove(view: View, { moves }: RebalancingInput): readonly Passenger[] {
  return moves.flatMap(({ instanceId, from, to }) => {
    const instance = view.getById("Instance", instanceId);
    return instance?.assignment?.nodeId === from.nodeId ? [{ instance, target: { toNode: to.node } }] : [];
  });
}
