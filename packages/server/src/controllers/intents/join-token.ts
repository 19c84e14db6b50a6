import type { KindIntents } from "../../intents.ts";
import { mintJoinToken, type JoinTokenDeps } from "../join-token.ts";
import { referenced } from "../references.ts";
import { refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export function joinTokenIntents(deps: JoinTokenDeps): KindIntents<"JoinToken"> {
  return {
    initialStatus: {},
    create(tx, draft, context) {
      referenced(tx, "Site", draft.spec.site, "/spec/site");
      return mintJoinToken(tx, draft, deps, context.nowMs);
    },
    update(tx, before, after) {
      refuseChanges(
        before.spec,
        after.spec,
        ["site", "node", "labels", "lifetimeSeconds"],
        "a join token is made for one purpose",
      );
      return store(tx, after);
    },
    remove: forget,
    actions: {},
  };
}
