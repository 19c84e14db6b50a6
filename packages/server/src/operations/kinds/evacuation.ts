import type { OperationKind, OperationStepKind, StepContext } from "../operation-kind.ts";
import { Convoy, type ConvoyDeps } from "./convoy/convoy.ts";
import { notesOf, reportOf } from "./convoy/notes.ts";
import {
  emptiedIn,
  evacuationOf,
  nodesOf,
  residentsOf,
  stillCordoned,
  type Emptied,
  type Residents,
} from "./convoy/scope.ts";

export interface EvacuationDeps {
  readonly convoys: ConvoyDeps;
  readonly residents: Residents;
}

const dayMs = 24 * 60 * 60_000;

export const evacuationTypes = {
  Node: "node.drain",
  Site: "site.evacuate",
  Provider: "provider.evacuate",
} as const satisfies Readonly<Record<Emptied, string>>;

/**
 * Moves every instance away from a node, a site or a provider, a few at a time and within disruption budgets. Taken back it has
 * what is on the move brought home where that is still possible, and lifts the cordon that came with it; what has been moved
 * stays where it is now. See docs/maintenance.md.
 */
export function evacuationKinds(deps: EvacuationDeps): readonly OperationKind[] {
  return Object.values(evacuationTypes).map((type) => ({
    type,
    deadlineMs: dayMs,
    steps: () => [cordon(), moveAll(deps)],
    finish: (_tx, operation) => reportOf(notesOf(operation)),
  }));
}

/** The request that asked for this has made the cordon; here is how it goes. */
function cordon(): OperationStepKind {
  return {
    name: "cordon",
    async run({ store, operation }) {
      stillCordoned(store, operation);
    },
    async compensate({ store, operation }) {
      const input = evacuationOf(operation);
      if (!input.cordoned) return;
      await store.transact((tx) => {
        const subject = emptiedIn(tx, input);
        if (subject === undefined || subject.spec.schedulable !== false) return;
        const { schedulable: _lifted, ...spec } = subject.spec;
        const metadata = { ...subject.metadata, generation: subject.metadata.generation + 1 };
        tx.put({ ...subject, metadata, spec } as typeof subject);
      });
    },
  };
}

function moveAll({ convoys, residents }: EvacuationDeps): OperationStepKind {
  const convoy = (context: StepContext): Convoy =>
    new Convoy(convoys, context, evacuationOf(context.operation), (view) =>
      residentsOf(view, residents, nodesOf(view, stillCordoned(view, context.operation))),
    );
  return {
    name: "move",
    run: (context) => convoy(context).run(),
    compensate: (context) => convoy(context).halt(),
  };
}
