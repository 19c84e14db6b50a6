import type { KindIntents } from "../../intents.ts";
import { measuredMs, refuseViolations } from "../placing.ts";
import { referenced } from "../references.ts";
import { inUse, refuseChanges } from "../refusal.ts";
import { evacuateAction, type EvacuatingDeps } from "./evacuating.ts";
import { forget, store } from "./zone-kind.ts";

export function siteIntents(deps: EvacuatingDeps): KindIntents<"Site"> {
  return {
    initialStatus: {},
    create(tx, draft) {
      referenced(tx, "Provider", draft.spec.provider, "/spec/provider");
      measuredMs(draft.spec.latencies ?? []);
      return store(tx, draft);
    },
    update(tx, before, after) {
      refuseChanges(before.spec, after.spec, ["provider"], "a site belongs to one provider");
      measuredMs(after.spec.latencies ?? []);
      const outcome = store(tx, after);
      refuseViolations(tx, ({ site }) => site === after.metadata.name);
      return outcome;
    },
    remove(tx, site, context) {
      const { name } = site.metadata;
      const nodes = tx.list("Node").filter((node) => node.spec.site === name);
      if (nodes.length > 0)
        throw inUse(
          `The site ${name}`,
          nodes.map((node) => `node ${node.metadata.name}`),
          "Delete its nodes first: skerry node delete NAME",
        );
      for (const token of tx.list("JoinToken")) if (token.spec.site === name) tx.delete("JoinToken", token.metadata.id);
      return forget(tx, site, context);
    },
    actions: { evacuate: evacuateAction(deps, "Site", "Cordon the site, and move every instance away from its nodes") },
  };
}
