import type { Problem } from "@skerry/model";

/**
 * What an answer that says "not now" has in its headers: `Retry-After` (RFC 9110) where waiting helps, and the limit as `RateLimit-Policy` and
 * `RateLimit` (draft-ietf-httpapi-ratelimit-headers): `q` requests in `w` seconds, of which `r` are left for the next `t`.
 */
export function rateHeaders({ status, facts = {} }: Problem): Readonly<Record<string, string>> {
  const { retryAfterSeconds: seconds, limit, perSecond, burst } = facts;
  if (typeof seconds !== "number") return status === 503 ? { "retry-after": "1" } : {};
  const retry = { "retry-after": String(seconds) };
  if (typeof limit !== "string" || typeof perSecond !== "number" || typeof burst !== "number") return retry;
  return {
    ...retry,
    "ratelimit-policy": `"${limit}";q=${burst};w=${Math.max(1, Math.ceil(burst / perSecond))}`,
    ratelimit: `"${limit}";r=0;t=${seconds}`,
  };
}
