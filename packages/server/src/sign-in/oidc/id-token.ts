import { createHash } from "node:crypto";
import type { JWTPayload, JWTVerifyGetKey } from "jose";

/** Asymmetric ones alone: with a shared secret whoever knows the client's could sign, and `none` is none. */
const algorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const clockToleranceSeconds = 30;
/** A token that says it is older was not made for this sign-in. */
const maxAgeSeconds = 900;

/** What a token must be, to be for this sign-in. */
export interface ExpectedToken {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined where none was sent, as with a device's code. */
  readonly nonce: string | undefined;
  /** That came with it. */
  readonly accessToken: string | undefined;
  readonly nowMs: number;
}

/**
 * The claims of an ID token (OpenID Connect Core, 3.1.3.7), all of it checked: signature by one of the issuer's keys and an algorithm
 * of the list, issuer, audience and authorised party, times, nonce, and the hash of the access token where there is one.
 * Throws whatever is wrong, as an error that names no secret.
 */
export async function verifyIdToken(
  token: string,
  getKey: JWTVerifyGetKey,
  expected: ExpectedToken,
): Promise<JWTPayload> {
  const { jwtVerify } = await import("jose");
  const { issuer, clientId, nonce, accessToken, nowMs } = expected;
  const { payload, protectedHeader } = await jwtVerify(token, getKey, {
    algorithms,
    issuer,
    audience: clientId,
    currentDate: new Date(nowMs),
    clockTolerance: clockToleranceSeconds,
    maxTokenAge: maxAgeSeconds,
    requiredClaims: ["sub", "exp", "iat"],
  });
  const { sub, aud, azp, at_hash: accessHash } = payload;
  if (typeof sub !== "string" || sub === "" || sub.length > 255) throw new Error("the subject is none");
  if (Array.isArray(aud) && aud.length > 1 && azp === undefined)
    throw new Error("it is for several, and says not whose");
  if (azp !== undefined && azp !== clientId) throw new Error("it was made for another client");
  if (payload["nonce"] !== nonce) throw new Error("its nonce is not that of this sign-in");
  if (
    accessHash !== undefined &&
    (accessToken === undefined || accessHash !== halfHash(accessToken, protectedHeader.alg))
  )
    throw new Error("it does not belong to the access token");
  return payload;
}

/** The left half of the hash that the algorithm has, base64url. */
function halfHash(text: string, algorithm: string): string {
  const digest = /512$|EdDSA|Ed25519/.test(algorithm) ? "sha512" : algorithm.endsWith("384") ? "sha384" : "sha256";
  const hash = createHash(digest).update(text, "ascii").digest();
  return hash.subarray(0, hash.length / 2).toString("base64url");
}
