import type { Command } from "commander";
import type { OperationResource } from "@skerry/model";
import { SkerryError, fromProblem } from "@skerry/model";
import { openProgress, type ProgressLine } from "../output/progress.ts";
import { stepLines } from "../mutation.ts";
import { openSession, withConnection, type Session } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { given, toNumber } from "./flag-values.ts";

interface ProvisionFlags {
  readonly site: string;
  readonly address: string;
  readonly hostKey?: string;
  readonly sshPort?: number;
}

export function addNodeCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const node = program.commands.find((command) => command.name() === "node");
  if (node === undefined) throw new Error("the kind commands come first");

  withConnection(node.command("provision <name>"))
    .description("turn a bare host into a node, over SSH; repeat it after a failure, it goes on where it stopped")
    .requiredOption("--site <name>", "where it stands; the site's provider has the user and key")
    .requiredOption("--address <address>", "where SSH reaches it")
    .option("--host-key <fingerprint>", "its SSH host key, SHA256:…, as ssh-keygen -l prints it on the host")
    .option("--ssh-port <port>", "where not the provider's", toNumber)
    .action(async (name: string, flags: ProvisionFlags, self: Command) => {
      const session = await openSession(terminal, self);
      const progress = await openProgress(terminal);
      try {
        await provisionNode(session, name, flags, (lines) => progress.update(lines), signal);
      } finally {
        progress.finish();
      }
    });
}

/** Declares the node and provisions it, step by step. @throws SkerryError with the cause and remedy of the step that failed */
async function provisionNode(
  session: Session,
  name: string,
  flags: ProvisionFlags,
  onChange: (lines: readonly ProgressLine[]) => void,
  signal: AbortSignal,
): Promise<OperationResource> {
  const spec = given({
    site: flags.site,
    address: flags.address,
    hostKeyFingerprint: flags.hostKey,
    sshPort: flags.sshPort,
  }) as { site: string };
  await session.client.put("Node", { name }, { spec }, {}, signal);
  const { operation } = await session.client.action("Node", { name }, "provision", {}, {}, signal);
  if (operation === undefined) throw new SkerryError("internal", `Provisioning ${name} started no operation.`);
  const ended = await session.client.waitForOperation(
    operation.metadata.name,
    (seen) => onChange(stepLines(seen, Date.now())),
    signal,
  );
  onChange(stepLines(ended, Date.now()));
  if (ended.status.problem !== undefined) throw fromProblem(ended.status.problem);
  if (ended.status.state !== "succeeded")
    throw new SkerryError("operation-cancelled", `Provisioning ${name} ended as ${ended.status.state}.`);
  return ended;
}
