import { SkerryError } from "@skerry/model";
import { readHostFacts, readHostState, type HostFacts, type HostState } from "./host-facts.ts";
import { requireScript } from "./remote-script.ts";
import type { SshConnection } from "./ssh-connection.ts";

const quickMs = 60_000;

export async function readFacts(connection: SshConnection, signal: AbortSignal): Promise<HostFacts> {
  return readHostFacts(await requireScript(connection, "facts", { root: false, timeoutMs: quickMs }, signal));
}

export async function readState(
  connection: SshConnection,
  packages: readonly string[],
  signal: AbortSignal,
): Promise<HostState> {
  return readHostState(
    await requireScript(connection, "state", { args: packages, root: true, timeoutMs: quickMs }, signal),
  );
}

/** Every character that a shell could misread, so that what comes back whole proves how the login shell reads words. */
const probe = "a b'c\"d\\e$HOME`f`!*?[g]{h,i}~;|&<>#%\nj";

/** @throws SkerryError host-unsupported where the user's login shell is none, or not one like POSIX's */
export async function requireShell(connection: SshConnection, signal: AbortSignal): Promise<void> {
  const { user, address } = connection.target;
  const result = await connection.exec(["printf", "%s", probe], {}, signal);
  // A login script may print something first; that does no harm.
  if (result.exitCode === 0 && result.stdout.endsWith(probe)) return;
  const said = `${result.stdout} ${result.stderr}`
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, 200);
  throw new SkerryError(
    "host-unsupported",
    `The user ${user} cannot run commands on the host ${address} (exit ${result.exitCode}): ${said}`,
    {
      remedy: `Give this user a login shell like sh, dash, bash or zsh: sudo chsh -s /bin/bash ${user}`,
      facts: { user, exitCode: result.exitCode },
    },
  );
}
