import { setTimeout as delay } from "node:timers/promises";
import type { SignInRequest, SignedIn } from "@skerry/model";
import type { SignInClient } from "@skerry/sdk";
import { awaitBrowser, openBrowser } from "./browser-return.ts";
import type { CommandDeps } from "./command-deps.ts";
import { printable } from "./output/terminal.ts";

/** What a session is to be limited to. */
export type SessionLimits = Pick<SignInRequest, "role" | "project" | "lifetimeSeconds">;

interface IdentitySignIn {
  readonly client: SignInClient;
  readonly identityProvider: string | undefined;
  readonly limits: SessionLimits;
}

/** By a browser on this machine, which comes back here. */
export async function signInByBrowser(
  { terminal, signal }: CommandDeps,
  { client, identityProvider, limits }: IdentitySignIn,
): Promise<SignedIn> {
  using browser = await awaitBrowser();
  const { authorizationUrl, state, draft } = await client.beginBrowser(identityProvider, browser.redirectUri, signal);
  terminal.err.write(`Sign in with a browser on this machine:\n  ${printable(authorizationUrl)}\n`);
  if (terminal.err.isTTY) openBrowser(authorizationUrl);
  const answer = await browser.answer(state, signal);
  return await client.finishBrowser({ draft, answer, ...limits }, signal);
}

/** By a browser anywhere, where a code is typed in. */
export async function signInByDevice(
  { terminal, signal }: CommandDeps,
  { client, identityProvider, limits }: IdentitySignIn,
): Promise<SignedIn> {
  const begun = await client.beginDevice(identityProvider, signal);
  const { userCode, verificationUri, intervalSeconds, draft } = begun;
  terminal.err.write(`Open ${printable(verificationUri)} in any browser, and type in: ${printable(userCode)}\n`);
  for (let seconds = intervalSeconds; ;) {
    await delay(seconds * 1000, undefined, { signal });
    const outcome = await client.pollDevice({ draft, ...limits }, signal);
    if (typeof outcome !== "number") return outcome;
    seconds = outcome;
  }
}
