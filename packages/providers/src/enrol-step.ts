import { SkerryError } from "@skerry/model";
import { hostPaths, nodeFlags } from "./agent-unit.ts";
import { requireOurs } from "./host-support.ts";
import { readState } from "./inspection.ts";
import type { ProvisioningDeps, StepReport } from "./provisioning.ts";
import { asRoot, requireScript } from "./remote-script.ts";
import type { SshConnection } from "./ssh-connection.ts";

const quickMs = 60_000;
/** Joining is one request from the host to the server. */
const joinMs = 60_000;

/** Lets the agent join where it has not yet, and starts it. */
export async function enrol(
  connection: SshConnection,
  deps: ProvisioningDeps,
  report: StepReport,
  signal: AbortSignal,
): Promise<void> {
  const state = await readState(connection, [], signal);
  const enrolment = requireOurs(connection.target.address, state.enrolment, deps);
  if (enrolment === "not-joined" || deps.rejoin === true) {
    report("joining");
    await join(connection, deps, signal);
  }
  report("starting the agent");
  await requireScript(connection, "start", { root: true, timeoutMs: quickMs }, signal);
  report("the agent runs");
}

/** The token goes by standard input: arguments are visible to every user of the host. */
async function join(connection: SshConnection, deps: ProvisioningDeps, signal: AbortSignal): Promise<void> {
  const token = await deps.mintJoinToken(signal);
  const agent = [hostPaths.node, ...nodeFlags, hostPaths.bundle, "join", "--config", hostPaths.config, "--token-stdin"];
  const [program = hostPaths.node, ...rest] = [...asRoot(connection.target.user), ...agent];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(joinMs)]);
  const result = await connection.exec([program, ...rest], { input: `${token}\n` }, limit);
  if (result.exitCode === 0) return;
  const complaint = result.stderr.replaceAll(token, "(token)").trim().split("\n").slice(0, 6).join(" | ").slice(0, 800);
  throw new SkerryError(
    "host-command-failed",
    `The agent on the host ${connection.target.address} could not join: ${complaint}`,
    {
      remedy: `Check that the host reaches ${deps.serverUrl}, and its clock, then run it again.`,
      facts: { exitCode: result.exitCode },
    },
  );
}
