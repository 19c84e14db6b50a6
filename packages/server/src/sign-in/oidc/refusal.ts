import { SkerryError } from "@skerry/model";

/** What a provider answers that is well, and proves nobody. */
const refusedWords = new Set(["invalid_grant", "access_denied", "expired_token", "login_required", "consent_required"]);

/** Whether a person has yet to sign in elsewhere. */
export async function pendingOf(error: unknown): Promise<"authorization_pending" | "slow_down" | undefined> {
  const { ResponseBodyError } = await import("oauth4webapi");
  const word = error instanceof ResponseBodyError ? error.error : undefined;
  return word === "authorization_pending" || word === "slow_down" ? word : undefined;
}

/** What who signs in is told of a failure; the libraries' own words are for the log. */
export async function asRefusal(name: string, error: unknown): Promise<SkerryError> {
  if (error instanceof SkerryError) return error;
  // The libraries wrap what their fetch throws.
  if (error instanceof Error && error.cause instanceof SkerryError) return error.cause;
  const oauth = await import("oauth4webapi");
  const isRefusal = error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError;
  if (isRefusal && refusedWords.has(error.error)) {
    return new SkerryError("unauthenticated", `The identity provider ${name} did not let you in (${error.error}).`, {
      remedy: "Begin anew, and agree there; each sign-in there serves once.",
      cause: error,
    });
  }
  if (error instanceof oauth.ResponseBodyError || isMalformed(oauth, error)) {
    return new SkerryError("unavailable", `The identity provider ${name} does not answer as it should.`, {
      remedy: `A platform-admin compares its client with what was registered there: skerry identity-provider show ${name}.`,
      cause: error,
    });
  }
  return new SkerryError("unauthenticated", `What the identity provider ${name} answered does not prove who you are.`, {
    remedy: "Begin anew. If it happens again, a platform-admin finds the reason in the server's log.",
    cause: error,
  });
}

function isMalformed(oauth: typeof import("oauth4webapi"), error: unknown): boolean {
  if (!(error instanceof oauth.OperationProcessingError)) return false;
  return error.code === oauth.RESPONSE_IS_NOT_CONFORM || error.code === oauth.RESPONSE_IS_NOT_JSON;
}
