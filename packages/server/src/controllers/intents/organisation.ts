import type { KindIntents } from "../../intents.ts";
import { inUse } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export const organisationIntents: KindIntents<"Organisation"> = {
  initialStatus: {},
  create: (tx, draft) => store(tx, draft),
  update: (tx, _before, after) => store(tx, after),
  remove(tx, organisation, context) {
    const { name } = organisation.metadata;
    const projects = tx.list("Project").filter((project) => project.spec.organisation === name);
    if (projects.length > 0) {
      throw inUse(
        `The organisation ${name}`,
        projects.map((project) => `project ${project.metadata.name}`),
        "Delete its projects first: skerry project delete NAME",
      );
    }
    return forget(tx, organisation, context);
  },
  actions: {},
};
