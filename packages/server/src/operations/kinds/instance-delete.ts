import type { OperationKind } from "../operation-kind.ts";
import { sayWhatKeeps } from "./instance-step.ts";

/**
 * Watches an instance go. Its removal was ordered by the intent and is completed by the nodes' reports, also after this
 * operation has given up waiting for a node that is away.
 */
export const instanceDeleteKind: OperationKind = {
  type: "instance.delete",
  deadlineMs: 5 * 60_000,
  about: ({ spec }) => [String(spec.input["instanceId"]), String(spec.input["nodeId"])],
  steps: () => [
    {
      name: "remove",
      pointOfNoReturn: true,
      async run(context) {
        const id = String(context.operation.spec.input["instanceId"]);
        await context.until((store) => {
          const instance = store.getById("Instance", id);
          if (instance === undefined) return true;
          if (instance.assignment !== undefined)
            sayWhatKeeps(
              context,
              store,
              instance.assignment.nodeId,
              `waits until ${instance.assignment.node} has removed it`,
            );
          return false;
        });
      },
    },
  ],
};
