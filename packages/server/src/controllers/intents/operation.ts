import { strict } from "@skerry/model";
import type { KindIntents } from "../../intents.ts";
import type { OperationEngine } from "../../operations/operation-kind.ts";
import { isOver } from "../../operations/transitions.ts";
import { conflict, refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export function operationIntents(deps: { readonly engine: Pick<OperationEngine, "cancel"> }): KindIntents<"Operation"> {
  return {
    initialStatus: { state: "pending", steps: [], notes: {} },
    create() {
      throw conflict(
        "Operations are made by what they do.",
        "Ask for the thing itself, for example: skerry instance migrate NAME.",
      );
    },
    update(tx, before, after) {
      refuseChanges(
        before.spec,
        after.spec,
        ["type", "targets", "actor", "cause", "input", "deadlineAt"],
        "an operation is a record of what was asked",
      );
      return store(tx, after);
    },
    remove(tx, operation, context) {
      if (!isOver(operation.status.state)) {
        throw conflict(
          `Operation ${operation.metadata.name} is not over.`,
          `Cancel it first: skerry operation cancel ${operation.metadata.name}`,
        );
      }
      return forget(tx, operation, context);
    },
    actions: {
      cancel: {
        summary: "Stop the operation and take back what it did so far",
        input: strict({}),
        run(tx, operation, _input, { actor }) {
          const cancelled = deps.engine.cancel(tx, operation, actor);
          return { resource: cancelled, operation: cancelled };
        },
      },
    },
  };
}
