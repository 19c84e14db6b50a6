import { randomBytes } from "node:crypto";
import { makeId, type ApiTokenResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { makeDraft } from "../api/draft.ts";
import { writePrivateFile } from "../secrets/private-file.ts";
import { formatApiToken } from "./api-token.ts";
import { mintSecret } from "./secret.ts";

/**
 * Makes the administrator's token at the first start and writes it to `path`, mode 0600; it is printed nowhere. The file comes
 * first: a crash between the two leaves a token that opens nothing, and the next start makes another.
 */
export async function ensureFirstToken(store: Store, path: string, nowMs: number): Promise<void> {
  if (store.list("ApiToken").length > 0) return;
  const id = makeId("atk", nowMs, randomBytes(10));
  const { secret, hash } = mintSecret();
  await writePrivateFile(path, `${formatApiToken({ id, secret })}\n`);
  const token: ApiTokenResource = makeDraft("ApiToken", id, { name: "admin" }, { spec: { role: "admin" }, labels: {}, status: { secretHash: hash } }, nowMs);
  await store.transact((tx) => tx.put(token));
}
