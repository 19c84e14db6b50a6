import { strict, type NodeResource, type ProviderResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { KindIntents } from "../../intents.ts";
import { refuseViolations } from "../placing.ts";
import { reapInstance, reapNetwork } from "../reap.ts";
import { referenced } from "../references.ts";
import { conflict, inUse, refuseChanges } from "../refusal.ts";
import { evacuateAction, type EvacuatingDeps } from "./evacuating.ts";
import { forget, store } from "./zone-kind.ts";

export function nodeIntents(deps: EvacuatingDeps): KindIntents<"Node"> {
  return {
    initialStatus: { connected: false, conditions: [] },
    create(tx, draft) {
      referenced(tx, "Site", draft.spec.site, "/spec/site");
      return store(tx, { ...draft, status: { ...draft.status, overlayIndex: nextOverlayIndex(tx) } });
    },
    update(tx, before, after) {
      referenced(tx, "Site", after.spec.site, "/spec/site");
      if (before.status.publicKey !== undefined)
        refuseChanges(before.spec, after.spec, ["driver"], "the node has joined with it");
      const outcome = store(tx, after);
      refuseViolations(tx, ({ id }) => id === after.metadata.id);
      return outcome;
    },
    remove(tx, node, context) {
      const users = usersOf(tx, node);
      if (users.length > 0) {
        throw inUse(
          `The node ${node.metadata.name}`,
          users,
          "Move these instances away first (skerry instance migrate NAME --project PROJECT --to-site SITE), or delete them.",
        );
      }
      forgetTraces(tx, node);
      const outcome = forget(tx, node, context);
      for (const id of node.status.networks ?? []) {
        const network = tx.getById("Network", id);
        if (network !== undefined) reapNetwork(tx, network);
      }
      return outcome;
    },
    actions: {
      drain: evacuateAction(deps, "Node", "Cordon the node, and move every instance away from it"),
      provision: {
        summary: "Turn the bare host at the node's address into a node, over SSH",
        input: strict({}),
        run(tx, node, _input, context) {
          checkProvisionable(tx, node);
          const operation = deps.engine.submit(tx, {
            type: "node.provision",
            targets: [{ kind: "Node", name: node.metadata.name }],
            actor: context.actor,
            cause: context.cause,
            input: { nodeId: node.metadata.id },
          });
          return { resource: node, operation };
        },
      },
    },
  };
}

/** One above the highest that any node has: a node's place in the overlay is never shared. */
function nextOverlayIndex(view: View): number {
  return view.list("Node").reduce((highest, node) => Math.max(highest, node.status.overlayIndex ?? 0), 0) + 1;
}

/** The provider whose access provisioning uses. @throws SkerryError conflict where the host can't be provisioned over SSH */
export function checkProvisionable(view: View, node: NodeResource): ProviderResource {
  const { name } = node.metadata;
  const site = referenced(view, "Site", node.spec.site, "/spec/site");
  const provider = referenced(view, "Provider", site.spec.provider, "/spec/provider");
  if (provider.spec.driver !== "ssh" || provider.spec.ssh === undefined) {
    throw conflict(
      `The provider ${provider.metadata.name} of node ${name} has the driver ${provider.spec.driver}: its agents join by themselves.`,
      `Make a join token and start the agent on the host: skerry join-token create ${name} --site ${node.spec.site} --node ${name}`,
    );
  }
  if (node.spec.address === undefined) {
    throw conflict(
      `The node ${name} has no address.`,
      `Say where SSH reaches the host: skerry node provision ${name} --address ADDRESS`,
    );
  }
  return provider;
}

function usersOf(view: View, node: NodeResource): string[] {
  const { id } = node.metadata;
  return view
    .list("Instance")
    .filter(({ assignment }) => assignment?.nodeId === id || assignment?.movingTo?.nodeId === id)
    .map(({ metadata }) => `instance ${metadata.project}/${metadata.name}`);
}

/** Nothing waits any more for what was to be removed from a node that goes. */
function forgetTraces(tx: Transaction, node: NodeResource): void {
  const { id } = node.metadata;
  for (const volume of tx.list("Volume")) {
    const { assignment } = volume;
    const copies = assignment?.copies?.filter((copy) => copy.nodeId !== id);
    if (assignment === undefined || copies?.length === assignment.copies?.length) continue;
    tx.put({ ...volume, assignment: { ...assignment, copies: copies ?? [] } });
  }
  for (const instance of tx.list("Instance")) {
    const { assignment } = instance;
    const former = assignment?.former?.filter((place) => place.nodeId !== id);
    if (assignment === undefined || former?.length === assignment.former?.length) continue;
    reapInstance(tx, tx.put({ ...instance, assignment: { ...assignment, former: former ?? [] } }));
  }
}
