import { formatJoinToken } from "@skerry/protocol";
import { mintSecret } from "../../authorisation/secret.ts";
import type { KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { Random } from "../../operations/random.ts";
import { referenced } from "../references.ts";
import { refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

const defaultLifetimeSeconds = 3600;

export function joinTokenIntents(deps: { readonly random: Random; readonly authorityFingerprint: string }): KindIntents<"JoinToken"> {
  return {
    initialStatus: {},
    create(tx, draft, context) {
      referenced(tx, "Site", draft.spec.site, "/spec/site");
      const { secret, hash } = mintSecret((bytes) => deps.random.bytes(bytes));
      const lifetimeMs = (draft.spec.lifetimeSeconds ?? defaultLifetimeSeconds) * 1000;
      const status = { secretHash: hash, expiresAt: timestamp(context.nowMs + lifetimeMs) };
      const { id } = draft.metadata;
      return {
        resource: tx.put({ ...draft, status }),
        secret: formatJoinToken({ id, secret, authorityFingerprint: deps.authorityFingerprint }),
      };
    },
    update(tx, before, after) {
      refuseChanges(before.spec, after.spec, ["site", "node", "labels", "lifetimeSeconds"], "a join token is made for one purpose");
      return store(tx, after);
    },
    remove: forget,
    actions: {},
  };
}
