import { kindWord, type KindName } from "@skerry/model";
import type { KindIntents } from "../../intents.ts";
import { referenced } from "../references.ts";
import { inUse, refuseChanges } from "../refusal.ts";
import { bindingsAt } from "./role-binding.ts";
import { forget, store } from "./zone-kind.ts";

const held = [
  "Instance",
  "Volume",
  "Network",
  "Image",
  "ServiceAccount",
  "DisruptionBudget",
] as const satisfies readonly KindName[];

export const projectIntents: KindIntents<"Project"> = {
  initialStatus: {},
  create(tx, draft) {
    referenced(tx, "Organisation", draft.spec.organisation, "/spec/organisation");
    return store(tx, draft);
  },
  update(tx, before, after) {
    refuseChanges(before.spec, after.spec, ["organisation"], "a project stays with its organisation");
    return store(tx, after);
  },
  remove(tx, project, context) {
    const { name } = project.metadata;
    const holds = held.flatMap((kind) =>
      tx.list(kind, name).map((object) => `${kindWord(kind)} ${object.metadata.name}`),
    );
    const tokens = tx.list("ApiToken").filter((token) => token.spec.project === name);
    const users = [
      ...holds,
      ...tokens.map((token) => `API token ${token.metadata.name}`),
      ...bindingsAt(tx, { project: name }),
    ];
    if (users.length > 0)
      throw inUse(
        `The project ${name}`,
        users,
        `Delete what it holds first, instances before networks and images: skerry instance delete NAME --project ${name}`,
      );
    return forget(tx, project, context);
  },
  actions: {},
};
