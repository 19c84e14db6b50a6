import type { KindIntents } from "../../intents.ts";
import { inUse } from "../refusal.ts";
import { bindingsAt } from "./role-binding.ts";
import { forget, store } from "./zone-kind.ts";

export const organisationIntents: KindIntents<"Organisation"> = {
  initialStatus: {},
  create: (tx, draft) => store(tx, draft),
  update: (tx, _before, after) => store(tx, after),
  remove(tx, organisation, context) {
    const { name } = organisation.metadata;
    const projects = tx.list("Project").filter((project) => project.spec.organisation === name);
    const users = [
      ...projects.map((project) => `project ${project.metadata.name}`),
      ...bindingsAt(tx, { organisation: name }),
    ];
    if (users.length > 0)
      throw inUse(
        `The organisation ${name}`,
        users,
        "Delete these first: skerry project delete NAME, skerry role-binding delete NAME",
      );
    return forget(tx, organisation, context);
  },
  actions: {},
};
