import { SkerryError, type ApiTokenResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { parseApiToken } from "./api-token.ts";
import type { Principal } from "./principal.ts";
import { secretMatches } from "./secret.ts";

const remedy =
  "Send a valid token as `Authorization: Bearer skt1.…`; the first one is in admin.token in the server's data directory.";

/**
 * Who a bearer token stands for, by what the store holds at this moment. Every failure answers the same, so that an
 * answer never tells which tokens exist.
 * @throws SkerryError unauthenticated
 */
export function authenticate(view: View, token: string | undefined, nowMs: number): Principal {
  if (token === undefined) throw new SkerryError("unauthenticated", "The request carries no bearer token.", { remedy });
  const parts = parseApiToken(token);
  const stored = parts === undefined ? undefined : view.getById("ApiToken", parts.id);
  const principal = stored === undefined ? undefined : principalOf(stored, nowMs);
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

/** Whether what a principal was made from still holds: not deleted, not expired, neither role nor project changed. */
export function stillHolds(view: View, principal: Principal, nowMs: number): boolean {
  const stored = view.getById("ApiToken", principal.tokenId);
  if (stored === undefined) return false;
  const current = principalOf(stored, nowMs);
  return current?.role === principal.role && current.project === principal.project;
}

function principalOf(token: ApiTokenResource, nowMs: number): Principal | undefined {
  if (token.metadata.deletedAt !== undefined) return undefined;
  const { expiresAt } = token.status;
  const expiresAtMs = expiresAt === undefined ? undefined : Date.parse(expiresAt);
  // Not `<=`: a moment that does not parse must count as over.
  if (expiresAtMs !== undefined && !(nowMs < expiresAtMs)) return undefined;
  return {
    name: token.metadata.name,
    role: token.spec.role,
    tokenId: token.metadata.id,
    ...(token.spec.project === undefined ? {} : { project: token.spec.project }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
}
