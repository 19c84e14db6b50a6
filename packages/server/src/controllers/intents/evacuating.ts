import { Type } from "typebox";
import { oneOf, optional, strict, type ResourceOf } from "@skerry/model";
import type { ActionIntent } from "../../intents.ts";
import type { OperationEngine } from "../../operations/operation-kind.ts";
import { evacuationTypes } from "../../operations/kinds/evacuation.ts";
import {
  nodesOf,
  residentsOf,
  type Emptied,
  type EvacuationInput,
  type Residents,
} from "../../operations/kinds/convoy/scope.ts";
import { forecastOf } from "../disruption/forecast.ts";
import type { MoveDeps } from "./instance-move.ts";

export interface EvacuatingDeps extends MoveDeps {
  readonly engine: MoveDeps["engine"] & Pick<OperationEngine, "submit">;
  readonly residents: Residents;
}

const defaultMaxParallel = 2;

/** How fast, and what not to wait for. */
const PaceInput = {
  maxParallel: optional(
    Type.Integer({ minimum: 1, maximum: 64, description: "how many may be on the move at once; 2 where absent" }),
  ),
  ignoreBudgets: optional(Type.Boolean({ description: "move also what disruption budgets would keep up" })),
  deadlineSeconds: optional(
    Type.Integer({ minimum: 60, maximum: 2_592_000, description: "when to give up and take back; a day where absent" }),
  ),
};

const EvacuationWish = strict({
  ...PaceInput,
  onBlocked: optional(
    oneOf(
      ["wait", "skip"] as const,
      "what can't be moved is waited for, as long as it takes, or left where it is; wait where absent",
    ),
  ),
});

/** Cordons, in the request's own transaction, and begins to move everything away. */
export function evacuateAction<K extends Emptied>(deps: EvacuatingDeps, kind: K, summary: string): ActionIntent<K> {
  return {
    summary,
    input: EvacuationWish,
    run(tx, resource, wish, context) {
      const { deadlineSeconds, maxParallel, onBlocked, ignoreBudgets } = wish as {
        readonly deadlineSeconds?: number;
      } & Partial<EvacuationInput>;
      const subject = resource as ResourceOf<Emptied>;
      const cordoned = subject.spec.schedulable !== false;
      const input: EvacuationInput = {
        kind,
        id: subject.metadata.id,
        cordoned,
        maxParallel: maxParallel ?? defaultMaxParallel,
        onBlocked: onBlocked ?? "wait",
        ignoreBudgets: ignoreBudgets ?? false,
      };
      const operation = deps.engine.submit(tx, {
        type: evacuationTypes[kind],
        targets: [{ kind, name: subject.metadata.name }],
        actor: context.actor,
        cause: context.cause,
        input: { ...input },
        ...(deadlineSeconds === undefined ? {} : { deadlineMs: deadlineSeconds * 1000 }),
      });
      const closed = cordoned ? tx.put(withCordon(subject)) : subject;
      return {
        resource: closed,
        operation,
        forecast: (view) =>
          forecastOf(deps, view, residentsOf(view, deps.residents, nodesOf(view, closed)), input, context),
      };
    },
  };
}

function withCordon(subject: ResourceOf<Emptied>): ResourceOf<Emptied> {
  const metadata = { ...subject.metadata, generation: subject.metadata.generation + 1 };
  return { ...subject, metadata, spec: { ...subject.spec, schedulable: false } } as ResourceOf<Emptied>;
}
