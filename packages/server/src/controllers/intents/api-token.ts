import type { ApiTokenResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { formatApiToken } from "../../authorisation/api-token.ts";
import { requireCover } from "../../authorisation/granting.ts";
import type { RightsIndex } from "../../authorisation/rights-index.ts";
import type { Grant } from "../../authorisation/rights.ts";
import { mintSecret } from "../../authorisation/secret.ts";
import type { KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { Random } from "../../operations/random.ts";
import { referenced } from "../references.ts";
import { invalidField, refuseChanges } from "../refusal.ts";
import { checkRole } from "./role-binding.ts";
import { forget, store } from "./zone-kind.ts";

interface ApiTokenDeps {
  readonly random: Random;
  readonly rights: Pick<RightsIndex, "grantsOf">;
}

export function apiTokenIntents(deps: ApiTokenDeps): KindIntents<"ApiToken"> {
  return {
    initialStatus: {},
    create(tx, draft, context) {
      const { lifetimeSeconds } = draft.spec;
      check(tx, draft);
      requireCover(context.rights, givenBy(draft, deps.rights));
      const { secret, hash } = mintSecret((bytes) => deps.random.bytes(bytes));
      const expiry =
        lifetimeSeconds === undefined ? {} : { expiresAt: timestamp(context.nowMs + lifetimeSeconds * 1000) };
      // Of others their owner or their project tells.
      const isFree = draft.spec.owner === undefined && draft.spec.project === undefined;
      const maker = isFree && context.countsWith !== undefined ? { countsWith: context.countsWith } : {};
      return {
        resource: tx.put({ ...draft, status: { secretHash: hash, ...expiry, ...maker } }),
        secret: formatApiToken({ id: draft.metadata.id, secret }),
      };
    },
    update(tx, before, after, context) {
      refuseChanges(
        before.spec,
        after.spec,
        ["role", "project", "owner", "lifetimeSeconds"],
        "what a token may do is fixed when it is made",
      );
      requireCover(context.rights, grantsOf(before, deps.rights));
      return store(tx, after);
    },
    /** Whoever revokes a token must have all that it may: a lesser admin does not lock a greater one out. */
    remove(tx, token, context) {
      requireCover(context.rights, grantsOf(token, deps.rights));
      return forget(tx, token, context);
    },
    actions: {},
  };
}

/** What whoever makes a token must have: of a user's all there is, since it will do whatever they are given later. */
function givenBy(token: ApiTokenResource, rights: Pick<RightsIndex, "grantsOf">): readonly Grant[] {
  return token.spec.owner?.kind === "User" ? [{ role: "platform-admin", scope: {} }] : grantsOf(token, rights);
}

/** What a token may do at most; a limit below its owner's rights is left out of account. */
function grantsOf({ spec }: ApiTokenResource, rights: Pick<RightsIndex, "grantsOf">): readonly Grant[] {
  const { role, project, owner } = spec;
  if (owner !== undefined) return rights.grantsOf(owner);
  return role === undefined ? [] : [{ role, scope: { project } }];
}

function check(view: View, { spec: { role, project, owner } }: ApiTokenResource): void {
  if (project !== undefined) referenced(view, "Project", project, "/spec/project");
  if (role !== undefined) checkRole(view, role, project === undefined);
  if (owner === undefined) {
    if (role === undefined)
      throw invalidField("/spec/role", "is missing", "Say what the token may do, or whose it is: --role or --user.");
    return;
  }
  if ((owner.kind === "ServiceAccount") !== (owner.project !== undefined))
    throw invalidField("/spec/owner/project", "must be there for a service account, and for nothing else");
  referenced(view, owner.kind, owner.name, "/spec/owner/name", owner.project);
}
