import type { JoinTokenResource } from "@skerry/model";
import { formatJoinToken } from "@skerry/protocol";
import type { Transaction } from "@skerry/store";
import { mintSecret } from "../authorisation/secret.ts";
import { timestamp } from "../operations/clock.ts";
import type { Random } from "../operations/random.ts";

export interface JoinTokenDeps {
  readonly random: Random;
  /** SHA-256 of the zone authority's certificate, hex: goes into join tokens, so that agents trust the right server. */
  readonly authorityFingerprint: string;
}

const defaultLifetimeSeconds = 3600;

/** Gives a drafted token its secret and stores the hash; the secret itself is returned this once. */
export function mintJoinToken(
  tx: Transaction,
  draft: JoinTokenResource,
  deps: JoinTokenDeps,
  nowMs: number,
): { readonly resource: JoinTokenResource; readonly secret: string } {
  const { secret, hash } = mintSecret((bytes) => deps.random.bytes(bytes));
  const lifetimeMs = (draft.spec.lifetimeSeconds ?? defaultLifetimeSeconds) * 1000;
  const resource = tx.put({ ...draft, status: { secretHash: hash, expiresAt: timestamp(nowMs + lifetimeMs) } });
  return {
    resource,
    secret: formatJoinToken({ id: draft.metadata.id, secret, authorityFingerprint: deps.authorityFingerprint }),
  };
}
