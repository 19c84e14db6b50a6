import { SkerryError, type IdentityProviderResource } from "@skerry/model";
import { isSafeEndpoint } from "../issuer-address.ts";

/** How long an identity provider may take to answer, and how much it may say. */
const issuerTimeoutMs = 10_000;
const maxAnswerBytes = 512 * 1024;

/** Asks an identity provider, and nobody else: gives its answers whole. Throws as `unreachable` tells. */
export type IssuerFetch = (url: string, init?: object) => Promise<Response>;

/**
 * Trusts the provider's own authority where it has one, follows no redirects, and bounds time and size.
 * @param stopping ends what is under way, and lets nothing begin
 * @param timeoutMs for all of an answer
 */
export async function makeIssuerFetch(
  { metadata, spec }: IdentityProviderResource,
  stopping: AbortSignal,
  timeoutMs = issuerTimeoutMs,
): Promise<IssuerFetch> {
  // Few starts ever need it.
  const { Agent, fetch } = await import("undici");
  const ca = spec.authority === undefined ? {} : { ca: spec.authority };
  const dispatcher = new Agent({
    connect: { timeout: timeoutMs, ...ca },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: maxAnswerBytes,
    // Asked seldom: nothing is to hold a connection, or a process.
    keepAliveTimeout: 1000,
  });
  return async (url, init = {}) => {
    if (!isSafeEndpoint(url, spec.issuer))
      throw misdescribed(metadata.name, `it names ${url.slice(0, 200)}, which is not https`);
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]);
    try {
      const answer = await fetch(url, { ...init, signal, dispatcher, redirect: "manual" });
      const body = await answer.arrayBuffer();
      const hasBody = body.byteLength > 0 && answer.status !== 204 && answer.status !== 304;
      return new Response(hasBody ? body : null, { status: answer.status, headers: [...answer.headers] });
    } catch (error) {
      if (stopping.aborted) throw stops(error);
      throw unreachable(metadata.name, spec.issuer, error, timeoutMs);
    }
  };
}

function stops(cause: unknown): SkerryError {
  return new SkerryError("unavailable", "The server stops: it asks no identity provider any more.", {
    remedy: "Sign in again in some seconds.",
    cause,
  });
}

/** What a provider's failure is told as: its own words are for the log. */
function unreachable(name: string, issuer: string, error: unknown, timeoutMs = issuerTimeoutMs): SkerryError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const timedOut = (cause instanceof Error && cause.name === "TimeoutError") || /TIMEOUT/.test(code);
  const untrusted = /CERT|SIGNATURE|ISSUER/.test(code);
  const what = timedOut
    ? `did not answer within ${timeoutMs / 1000} s`
    : untrusted
      ? "has a certificate that is not trusted here"
      : "can't be reached from the server";
  return new SkerryError("unavailable", `The identity provider ${name} ${what}.`, {
    remedy: untrusted
      ? `A platform-admin gives its authority: skerry identity-provider show ${name} (spec.authority).`
      : `Try again later, or sign in by another way. If it lasts, look whether the server reaches ${issuer}.`,
    cause: error,
  });
}

export function misdescribed(name: string, why: string, cause?: unknown): SkerryError {
  return new SkerryError(
    "unavailable",
    `The identity provider ${name} does not describe itself as it should: ${why}.`,
    {
      remedy: `Compare its issuer with what it says at /.well-known/openid-configuration: skerry identity-provider show ${name}.`,
      cause,
    },
  );
}
