import type { KindIntents } from "../../intents.ts";
import { projectOf } from "../references.ts";
import { conflict } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

/** All of a project's are asked before each move. */
const mostInProject = 100;

export const disruptionBudgetIntents: KindIntents<"DisruptionBudget"> = {
  initialStatus: {},
  create(tx, draft) {
    const project = projectOf(tx, draft.metadata);
    if (tx.list("DisruptionBudget", project).length >= mostInProject)
      throw conflict(
        `The project ${project} has ${mostInProject} disruption budgets already.`,
        "Delete one, or widen the selector of one.",
      );
    return store(tx, draft);
  },
  update: (tx, _before, after) => store(tx, after),
  remove: forget,
  actions: {},
};
