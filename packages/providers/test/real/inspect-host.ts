import type { HostFacts, HostState } from "../../src/host-facts.ts";
import type { HostTarget } from "../../src/host-target.ts";
import { readFacts, readState, requireShell } from "../../src/inspection.ts";
import { connectToHost } from "../../src/ssh-handshake.ts";

/** What a host is, and what of Skerry is on it where its user may look. */
interface HostInspection {
  readonly facts: HostFacts;
  readonly state?: HostState;
}

/** Looks at a host and changes nothing. @throws SkerryError as `connectToHost`, host-command-failed */
export async function inspectHost(target: HostTarget, signal: AbortSignal): Promise<HostInspection> {
  await using connection = await connectToHost(target, "NAME", signal);
  await requireShell(connection, signal);
  const facts = await readFacts(connection, signal);
  return facts.rootAccess === "yes" ? { facts, state: await readState(connection, [], signal) } : { facts };
}
