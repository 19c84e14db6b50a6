import type { EnrolmentBegun, SignedIn, TotpBegun } from "@skerry/model";
import { SkerryError } from "@skerry/model";
import type { SignInClient } from "@skerry/sdk";
import type { CommandDeps } from "./command-deps.ts";
import { readContexts, writeContexts, type Context } from "./contexts.ts";
import { printable } from "./output/terminal.ts";
import type { Prompts } from "./prompts.ts";

/** The code that a one-time link has, and whose link it is. @throws SkerryError invalid-request */
export function readLink(link: string): { readonly server: string; readonly code: string } {
  const url = URL.parse(link);
  const code = url?.searchParams.get("code") ?? "";
  if (url?.protocol === "https:" && code !== "") return { server: url.origin, code };
  throw new SkerryError("invalid-request", "That is not a one-time link.", {
    remedy: "Copy it whole, as it was printed: https://HOST:PORT/enrol?code=… (in quotes).",
  });
}

/** Asks for all that a one-time link lets somebody set, and signs them in. */
export async function enrolByLink(
  deps: CommandDeps,
  client: SignInClient,
  prompts: Prompts,
  code: string,
  user: string | undefined,
): Promise<SignedIn> {
  const { terminal, signal } = deps;
  const begun: EnrolmentBegun = await client.beginEnrolment(code, signal);
  if (begun.name !== undefined) terminal.err.write(`For ${printable(begun.name)}.\n`);
  const name = begun.name === undefined ? { name: user ?? (await prompts.ask("Your name here")) } : {};
  const password = await askNewPassword(prompts);
  await showAuthenticator(deps, begun);
  const totpCode = await prompts.ask("The six digits that it shows");
  const { recoveryCodes, ...session } = await client.enrol(
    { code, draft: begun.draft, ...name, password, totpCode },
    signal,
  );
  showRecoveryCodes(deps, recoveryCodes);
  return session;
}

export async function askNewPassword(prompts: Prompts): Promise<string> {
  const password = await prompts.ask("New password, at least 12 characters", "hidden");
  if ((await prompts.ask("The same again", "hidden")) === password) return password;
  throw new SkerryError("invalid-request", "The two passwords differ.");
}

/** Shows a new authenticator's secret: as a picture on a terminal, and to type in. */
export async function showAuthenticator({ terminal }: CommandDeps, { secret, uri }: TotpBegun): Promise<void> {
  if (terminal.err.isTTY) {
    const { encodeQR } = await import("qr");
    terminal.err.write(`${encodeQR(uri, "term")}\n`);
  }
  const groups = secret.replaceAll(/(.{4})(?=.)/g, "$1 ");
  terminal.err.write(`Read this with an authenticator app, or type its key in: ${groups}\n  ${uri}\n`);
}

/** They go to standard output, so that they can be kept. */
export function showRecoveryCodes({ terminal }: CommandDeps, codes: readonly string[]): void {
  terminal.err.write(
    "Without the authenticator each of these lets you in once, with the password; they are not shown again:\n",
  );
  terminal.out.write(`${codes.join("\n")}\n`);
}

/** Keeps a session with its context, which becomes the current one. */
export function keepSession(name: string, context: Context, { user, token, expiresAt }: SignedIn): void {
  const { contexts } = readContexts();
  const session = { user, token, ...(expiresAt === undefined ? {} : { expiresAt }) };
  writeContexts({ current: name, contexts: { ...contexts, [name]: { ...context, session } } });
}
