import {
  SkerryError,
  makeId,
  type JoinTokenResource,
  type NodeResource,
  type OperationResource,
  type ProviderResource,
} from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { checkProvisionable } from "../../controllers/intents/node.ts";
import { mintJoinToken, type JoinTokenDeps } from "../../controllers/join-token.ts";
import { timestamp } from "../clock.ts";
import { provisioningStepNames, type HostProvisioner, type HostProvisioningStep } from "../host-provisioner.ts";
import type { NodeSight } from "../node-sight.ts";
import type { OperationKind, OperationStepKind, StepContext } from "../operation-kind.ts";

export interface ProvisioningKindDeps extends JoinTokenDeps {
  readonly provisioner: HostProvisioner;
  /** A provider's private key in clear text. @throws SkerryError unavailable where it can't be opened */
  readonly openKey: (provider: ProviderResource) => string | undefined;
  readonly sight: NodeSight;
}

const minuteMs = 60_000;
const tokenLifetimeSeconds = 600;
/** Marks the tokens that an operation made, so that it can take unused ones back. */
const operationLabel = "skerry/operation";

/** Turns the host at a node's address into that node, then waits until its agent reports. */
export function nodeProvisionKind(deps: ProvisioningKindDeps): OperationKind {
  // Kept for as long as this process works on it, so that steps share a connection; each step can also begin anew.
  const inHand = new Map<string, readonly HostProvisioningStep[]>();
  const hostStep = (name: string): OperationStepKind => ({
    name,
    // Someone who mistyped an address wants to know soon; a host that was reached once is tried until the deadline.
    ...(name === "connect" ? { maxAttempts: 4 } : {}),
    async run(context, signal) {
      const { id } = context.operation.metadata;
      const steps = inHand.get(id) ?? stepsFor(deps, context);
      inHand.set(id, steps);
      const step = steps.find((candidate) => candidate.name === name);
      if (step === undefined) throw new SkerryError("internal", `provisioning has no step ${name}`);
      const report = (message: string, done?: number, total?: number) => {
        const figures = { ...(done === undefined ? {} : { done }), ...(total === undefined ? {} : { total }) };
        context.progress({
          message,
          ...figures,
          ...(name === "agent" && total !== undefined ? { unit: "bytes" as const } : {}),
        });
      };
      try {
        await step.run(report, signal);
      } catch (error) {
        // Somebody may mend the key or the address before the next attempt.
        inHand.delete(id);
        throw error;
      }
    },
  });
  return {
    type: "node.provision",
    deadlineMs: 30 * minuteMs,
    about: ({ spec }) => [String(spec.input["nodeId"])],
    steps: () => [...provisioningStepNames.map(hostStep), ready(deps.sight)],
    finish(tx, operation) {
      inHand.delete(operation.metadata.id);
      for (const token of tx.list("JoinToken")) {
        const ours = token.metadata.labels[operationLabel] === operation.metadata.name;
        if (ours && token.status.usedAt === undefined) tx.delete("JoinToken", token.metadata.id);
      }
      const facts = nodeOf(tx, operation)?.status.facts;
      return facts === undefined
        ? undefined
        : { hostname: facts.hostname, driver: facts.driver, accelerator: facts.accelerator };
    },
  };
}

/** The host's part ends when its agent is started; the node is there when it reports. */
function ready(sight: NodeSight): OperationStepKind {
  return {
    name: "ready",
    limitMs: 5 * minuteMs,
    async run(context) {
      const nodeId = String(context.operation.spec.input["nodeId"]);
      context.progress({ message: "waits for the agent's first report" });
      await context.until((store) => {
        const node = store.getById("Node", nodeId);
        if (node === undefined) throw gone(context.operation);
        return node.status.connected && sight.report(nodeId) !== undefined;
      });
    },
  };
}

function stepsFor(deps: ProvisioningKindDeps, context: StepContext): readonly HostProvisioningStep[] {
  const { operation, store } = context;
  const node = nodeOf(store, operation);
  if (node === undefined) throw gone(operation);
  const provider = checkProvisionable(store, node);
  const { ssh } = provider.spec;
  const privateKey = deps.openKey(provider);
  const { address, sshPort, hostKeyFingerprint, capacityOverride, driver } = node.spec;
  if (ssh === undefined || privateKey === undefined || address === undefined) {
    throw new SkerryError(
      "conflict",
      `The host of node ${node.metadata.name} can't be reached: its provider has no key, or it has no address.`,
      {
        remedy: "Give the provider an SSH user and key (skerry explain provider), and the node its address.",
      },
    );
  }
  return deps.provisioner.steps({
    nodeName: node.metadata.name,
    address,
    port: sshPort ?? ssh.port ?? 22,
    user: ssh.user,
    privateKey,
    ...(hostKeyFingerprint === undefined ? {} : { hostKeyFingerprint }),
    ...(capacityOverride === undefined ? {} : { capacityOverride }),
    ...(driver === undefined ? {} : { driver }),
    ...(node.status.publicKey === undefined ? { rejoin: true } : {}),
    async mintJoinToken(signal) {
      signal.throwIfAborted();
      const nowMs = context.nowMs();
      const { result } = await store.transact((tx) =>
        mintJoinToken(tx, tokenDraft(tx, deps, operation, node, nowMs), deps, nowMs),
      );
      return result.secret;
    },
  });
}

function tokenDraft(
  tx: Transaction,
  deps: ProvisioningKindDeps,
  operation: OperationResource,
  node: NodeResource,
  nowMs: number,
): JoinTokenResource {
  const id = makeId("jtk", nowMs, deps.random.bytes(10));
  const at = timestamp(nowMs);
  const { name } = node.metadata;
  const { site } = tx.getById("Node", node.metadata.id)?.spec ?? node.spec;
  return {
    kind: "JoinToken",
    metadata: {
      name: `${name.slice(0, 40)}-${id.slice(-8)}`,
      id,
      revision: 0,
      generation: 1,
      labels: { [operationLabel]: operation.metadata.name },
      createdAt: at,
      updatedAt: at,
    },
    spec: { site, node: name, lifetimeSeconds: tokenLifetimeSeconds },
    status: {},
  };
}

function nodeOf(view: View, operation: OperationResource): NodeResource | undefined {
  return view.getById("Node", String(operation.spec.input["nodeId"]));
}

function gone(operation: OperationResource): SkerryError {
  return new SkerryError("not-found", `The node ${operation.spec.targets[0]?.name} is not there any more.`);
}
