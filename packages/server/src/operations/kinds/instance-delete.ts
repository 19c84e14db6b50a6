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
      isThere(context) {
        const { store, operation } = context;
        const { metadata, assignment } = store.getById("Instance", String(operation.spec.input["instanceId"])) ?? {};
        if (assignment !== undefined)
          sayWhatKeeps(context, store, assignment.nodeId, `waits until ${assignment.node} has removed it`);
        return metadata === undefined;
      },
    },
  ],
};
