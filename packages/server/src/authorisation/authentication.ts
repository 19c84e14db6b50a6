import { SkerryError, type ApiTokenResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { parseApiToken } from "./api-token.ts";
import type { Principal } from "./principal.ts";
import type { RightsIndex } from "./rights-index.ts";
import { secretMatches } from "./secret.ts";

const remedy =
  "Send a valid token as `Authorization: Bearer skt1.…`; the first one is in admin.token in the server's data directory.";

/**
 * Who a bearer token stands for, by what the store holds at this moment. Every failure answers the same, so that an
 * answer never tells which tokens exist.
 * @throws SkerryError unauthenticated
 */
export function authenticate(view: View, rights: RightsIndex, token: string | undefined, nowMs: number): Principal {
  if (token === undefined) throw new SkerryError("unauthenticated", "The request carries no bearer token.", { remedy });
  const parts = parseApiToken(token);
  const stored = parts === undefined ? undefined : view.getById("ApiToken", parts.id);
  const principal = stored === undefined ? undefined : principalOf(stored, rights, nowMs);
  const hash = stored?.status.secretHash;
  if (parts === undefined || principal === undefined || hash === undefined || !secretMatches(parts.secret, hash)) {
    throw new SkerryError("unauthenticated", "The token is not valid, has expired or was deleted.", { remedy });
  }
  return principal;
}

/** The token of an `Authorization: Bearer` header; undefined for none and for other schemes. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(header ?? "")?.[1];
}

/** Whether what a principal was made from still holds: its token not deleted, not expired, and its rights the same. */
export function stillHolds(view: View, rights: RightsIndex, principal: Principal, nowMs: number): boolean {
  const stored = view.getById("ApiToken", principal.tokenId);
  if (stored === undefined) return false;
  const current = principalOf(stored, rights, nowMs);
  return current !== undefined && (current.rights === principal.rights || current.rights.equal(principal.rights));
}

function principalOf(token: ApiTokenResource, rights: RightsIndex, nowMs: number): Principal | undefined {
  if (token.metadata.deletedAt !== undefined) return undefined;
  const { expiresAt } = token.status;
  const expiresAtMs = expiresAt === undefined ? undefined : Date.parse(expiresAt);
  // Not `<=`: a moment that does not parse must count as over.
  if (expiresAtMs !== undefined && !(nowMs < expiresAtMs)) return undefined;
  const given = rights.of(token);
  if (given === undefined) return undefined;
  const shared = countsWith(token);
  return {
    name: actorOf(token),
    rights: given,
    tokenId: token.metadata.id,
    ...(token.spec.owner === undefined ? {} : { owner: token.spec.owner.kind }),
    ...(shared === undefined ? {} : { countsWith: shared }),
    ...(token.spec.requestsPerSecond === undefined ? {} : { requestsPerSecond: token.spec.requestsPerSecond }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
}

/** Of tokens that are nobody's all in a project count together, and others with whoever made them: many tokens are not more to ask. */
function countsWith({ spec: { owner, project }, status }: ApiTokenResource): string | undefined {
  if (owner !== undefined) return undefined;
  return project === undefined ? status.countsWith : `tokens in ${project}`;
}

function actorOf({ metadata, spec: { owner } }: ApiTokenResource): string {
  if (owner === undefined) return metadata.name;
  return owner.project === undefined ? owner.name : `${owner.project}/${owner.name}`;
}
