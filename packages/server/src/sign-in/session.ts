import { builtInRoles, kindNames, kinds, type ApiTokenResource, type UserResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import { makeDraft } from "../api/draft.ts";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import { missingReference } from "../controllers/refusal.ts";
import type { IntentTable } from "../intents.ts";
import { sessionUserOf, type PeopleIndex } from "./people-index.ts";

/* A session is an API token of the user's that the server makes at a sign-in: hashed, limited, expiring, revocable and watched as any. */

/** What a session may be limited to, as an API token's spec says it. */
export type SessionWish = Pick<ApiTokenResource["spec"], "role" | "project" | "lifetimeSeconds">;

export type SessionOrigin = NonNullable<ApiTokenResource["status"]["session"]>;

export interface SessionDeps {
  readonly intents: Pick<IntentTable, "ApiToken">;
  readonly makeId: (prefix: string) => string;
  readonly people: Pick<PeopleIndex, "sessionIdsOf">;
  readonly rights: Pick<RightsIndex, "ofUser">;
}

/** The token, shown this once. */
export interface OpenedSession {
  readonly name: string;
  readonly secret: string;
  readonly expiresAt: string | undefined;
}

const defaultLifetimeSeconds = 43_200;
/** Of one user; the oldest end where there are more. */
const maxSessions = 50;

/**
 * @param maxSeconds the longest that it may last, whatever is wished
 * @throws SkerryError invalid-request where the limit names what is not there, or what the user may not know of
 */
export function openSession(
  deps: SessionDeps,
  tx: Transaction,
  user: UserResource,
  wish: SessionWish,
  origin: SessionOrigin,
  nowMs: number,
  maxSeconds = Number.POSITIVE_INFINITY,
): OpenedSession {
  const { intents, makeId, people } = deps;
  const { name } = user.metadata;
  checkWish(deps, tx, name, wish);
  const id = makeId(kinds.ApiToken.prefix);
  const spec: ApiTokenResource["spec"] = {
    ...wish,
    owner: { kind: "User", name },
    lifetimeSeconds: Math.min(wish.lifetimeSeconds ?? defaultLifetimeSeconds, maxSeconds),
  };
  const key = { name: `session-${id.slice(id.indexOf("_") + 1)}` };
  const draft = makeDraft("ApiToken", id, key, { spec, labels: {}, status: intents.ApiToken.initialStatus }, nowMs);
  // Nobody gives it: it is of whoever has proved to be its owner.
  const { secret = "" } = intents.ApiToken.create(tx, draft, { actor: name, cause: "sign-in", nowMs, makeId });
  const made = tx.getById("ApiToken", id);
  if (made === undefined) throw new Error("a session was made and is not there");
  tx.amend({ ...made, status: { ...made.status, session: origin } });
  endSessions(tx, sessionsOf(tx, people, name).slice(maxSessions));
  return { name: key.name, secret, expiresAt: made.status.expiresAt };
}

/** What lives in projects, and they themselves: who may see any of it in one knows of that. */
const inProjects = kindNames.filter((kind) => kind === "Project" || kinds[kind].scope === "project");

/** What they may not know of is answered as what is not there: whoever signs in learns no names by it. */
function checkWish({ rights }: SessionDeps, tx: Transaction, user: string, { role, project }: SessionWish): void {
  if (role === undefined && project === undefined) return;
  const joined = tx.written.flatMap(({ event: { object, type } }) =>
    object.kind === "Group"
      ? [[object.metadata.name, type !== "deleted" && object.spec.members.includes(user)] as const]
      : [],
  );
  const own = rights.ofUser(user, new Map(joined));
  if (project !== undefined && !inProjects.some((kind) => own.allow("read", kind, { project })))
    throw missingReference("/spec/project", "Project", project);
  const isKnown =
    role === undefined ||
    builtInRoles.some((builtIn) => builtIn === role) ||
    own.allow("read", "Role", {}) ||
    own.grants.some((grant) => grant.role === role);
  if (!isKnown) throw missingReference("/spec/role", "Role", role);
}

/** A user's, those made in the same transaction too; newest first. */
export function sessionsOf(
  tx: Pick<Transaction, "getById" | "written">,
  people: Pick<PeopleIndex, "sessionIdsOf">,
  user: string,
): readonly ApiTokenResource[] {
  const ids = new Set(people.sessionIdsOf(user));
  for (const { event } of tx.written) if (event.kind === "ApiToken") ids.add(event.id);
  return [...ids]
    .flatMap((id) => tx.getById("ApiToken", id) ?? [])
    .filter((token) => sessionUserOf(token) === user)
    .toSorted((one, other) => (one.metadata.id < other.metadata.id ? 1 : -1));
}

export function endSessions(tx: Transaction, sessions: readonly ApiTokenResource[]): void {
  for (const { metadata } of sessions) tx.delete("ApiToken", metadata.id);
}
