import type { Command } from "commander";
import type { OperationResource } from "@skerry/model";
import { SkerryError, fromProblem } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import { openProgress, type ProgressLine } from "../output/progress.ts";
import { stepLines } from "../mutation.ts";
import { openSession, withConnection, withReason, type Session } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { given, toNumber } from "./flag-values.ts";

interface ProvisionFlags {
  readonly site?: string;
  readonly address?: string;
  readonly hostKey?: string;
  readonly sshPort?: number;
}

export function addNodeCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const node = program.commands.find((command) => command.name() === "node");
  if (node === undefined) throw new Error("the kind commands come first");

  withReason(withConnection(node.command("provision <name>")))
    .description("turn a bare host into a node, over SSH; repeat it after a failure, it goes on where it stopped")
    .option("--site <name>", "where it stands; the site's provider has the user and key; the node's own if it is known")
    .option("--address <address>", "where SSH reaches it; the node's own if it is known")
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

/** Makes the node, or changes of a known one only what the flags say. @throws SkerryError where a new one lacks a flag */
async function declareNode(client: Client, name: string, flags: ProvisionFlags, signal: AbortSignal): Promise<void> {
  const { site, address } = flags;
  const spec = given({ site, address, hostKeyFingerprint: flags.hostKey, sshPort: flags.sshPort });
  const known = await client.get("Node", { name }, signal).catch((error: unknown) => {
    if (error instanceof SkerryError && error.code === "not-found") return undefined;
    throw error;
  });
  if (known !== undefined) {
    if (Object.keys(spec).length > 0) await client.patch("Node", { name }, { spec }, {}, signal);
    return;
  }
  if (site === undefined || address === undefined) {
    throw new SkerryError(
      "invalid-request",
      `There is no node ${name} yet, and ${site === undefined ? "--site" : "--address"} is missing.`,
      { remedy: `skerry node provision ${name} --site SITE --address ADDRESS; known nodes: skerry node list` },
    );
  }
  const draft = { spec: { ...spec, site } };
  await client.put("Node", { name }, draft, { ifAbsent: true }, signal);
}

/** Declares the node and provisions it, step by step. @throws SkerryError with the cause and remedy of the step that failed */
async function provisionNode(
  session: Session,
  name: string,
  flags: ProvisionFlags,
  onChange: (lines: readonly ProgressLine[]) => void,
  signal: AbortSignal,
): Promise<OperationResource> {
  await declareNode(session.client, name, flags, signal);
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
