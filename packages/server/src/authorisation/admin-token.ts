import { kinds, type ApiTokenResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { makeDraft } from "../api/draft.ts";
import type { Clock } from "../operations/clock.ts";
import { writePrivateFile } from "../secrets/private-file.ts";
import { formatApiToken } from "./api-token.ts";
import { mintSecret } from "./secret.ts";

/**
 * Makes sure that somebody can administer the zone: where no admin's token is left, as at the first start, makes one and
 * writes it to `file`, which its owner alone may read. It is shown nowhere else.
 * @returns whether one was made
 */
export async function ensureAdminToken(
  store: Store,
  clock: Clock,
  makeId: (prefix: string) => string,
  file: string,
): Promise<boolean> {
  const nowMs = clock.nowMs();
  if (store.list("ApiToken").some((token) => administers(token, nowMs))) return false;
  const id = makeId(kinds.ApiToken.prefix);
  const { secret, hash } = mintSecret();
  const name = store.get("ApiToken", { name: "admin" }) === undefined ? "admin" : `admin-${id.slice(-8)}`;
  const parts = {
    spec: { role: "platform-admin", description: "Made by the server" },
    labels: {},
    status: { secretHash: hash },
  };
  // The file first: a crash in between leaves a token that means nothing, and the next start makes another.
  await writePrivateFile(file, `${formatApiToken({ id, secret })}\n`);
  await store.transact((tx) => tx.put(makeDraft("ApiToken", id, { name }, parts, nowMs)), {
    actor: { name: "system" },
    cause: "no administrator was left",
  });
  return true;
}

function administers({ metadata, spec, status }: ApiTokenResource, nowMs: number): boolean {
  const lasts = status.expiresAt === undefined || nowMs < Date.parse(status.expiresAt);
  const mayAll = spec.role === "platform-admin" || spec.role === "admin";
  return mayAll && spec.project === undefined && spec.owner === undefined && lasts && metadata.deletedAt === undefined;
}
