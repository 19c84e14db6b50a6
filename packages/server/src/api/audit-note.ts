import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { SkerryError } from "@skerry/model";
import type { AuditNote } from "@skerry/store";
import { forwardedHeader } from "../replicas/forward.ts";
import type { Call } from "./route.ts";

const reasonHeader = "x-skerry-reason";
const maxReason = 500;
/** Control characters, and those that turn the direction of what comes after them. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * What the audit record of a request's transaction says beside its changes.
 * @throws SkerryError invalid-request where the client's reason is none
 */
export function noteOf({
  principal,
  headers,
  cause,
  request,
}: Omit<Call, "params" | "query" | "body" | "reply">): AuditNote {
  const why = readReason(headers[reasonHeader]);
  const { owner, name, tokenId } = principal;
  return {
    actor: { kind: owner ?? "ApiToken", name, tokenId },
    ...peerOf(request),
    cause,
    ...(why === undefined ? {} : { why }),
  };
}

/** Who asked, by the connection, and for whom where that was a replica: its word alone, since any client can say the same. */
export function peerOf({ ip, headers }: FastifyRequest): Pick<AuditNote, "from" | "forwardedFor"> {
  const forwardedFor = headers[forwardedHeader];
  const isSaid = typeof forwardedFor === "string" && isIP(forwardedFor) !== 0;
  return { from: ip, ...(isSaid ? { forwardedFor } : {}) };
}

/** Headers come as Latin-1, whatever was sent; this one is UTF-8. */
function readReason(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  let text;
  try {
    text = utf8.decode(Buffer.from(String(header), "latin1"));
  } catch (error) {
    throw unfit("is not UTF-8", error);
  }
  if (text.length > maxReason) throw unfit(`has ${text.length} characters, and may have ${maxReason}`);
  if (unprintable.test(text)) throw unfit("has characters that can't be printed");
  const trimmed = text.trim();
  return trimmed === "" ? undefined : trimmed;
}

function unfit(what: string, cause?: unknown): SkerryError {
  return new SkerryError("invalid-request", `The reason in X-Skerry-Reason ${what}.`, {
    remedy: `Give one line of at most ${maxReason} characters, in UTF-8.`,
    cause,
  });
}
