import { formatApiToken } from "../../authorisation/api-token.ts";
import { mintSecret } from "../../authorisation/secret.ts";
import type { KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { Random } from "../../operations/random.ts";
import { referenced } from "../references.ts";
import { refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export function apiTokenIntents(deps: { readonly random: Random }): KindIntents<"ApiToken"> {
  return {
    initialStatus: {},
    create(tx, draft, context) {
      const { project, lifetimeSeconds } = draft.spec;
      if (project !== undefined) referenced(tx, "Project", project, "/spec/project");
      const { secret, hash } = mintSecret((bytes) => deps.random.bytes(bytes));
      const expiry =
        lifetimeSeconds === undefined ? {} : { expiresAt: timestamp(context.nowMs + lifetimeSeconds * 1000) };
      return {
        resource: tx.put({ ...draft, status: { secretHash: hash, ...expiry } }),
        secret: formatApiToken({ id: draft.metadata.id, secret }),
      };
    },
    update(tx, before, after) {
      refuseChanges(
        before.spec,
        after.spec,
        ["role", "project", "lifetimeSeconds"],
        "what a token may do is fixed when it is made",
      );
      return store(tx, after);
    },
    remove: forget,
    actions: {},
  };
}
