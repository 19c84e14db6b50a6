import type { InstanceResource, PlacementConstraints, VolumeResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { IntentContext, IntentOutcome, KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import type { OperationEngine } from "../../operations/operation-kind.ts";
import type { Allocation } from "../allocation.ts";
import type { Fleet } from "../fleet.ts";
import type { AddressBook } from "../addressing/address-book.ts";
import { freshLease, withChangedLease } from "../instance-lease.ts";
import { namingFor } from "../node-naming.ts";
import { chooseAnywhere } from "../placing.ts";
import { checkImageFits, projectOf, readyImage, referenced } from "../references.ts";
import { conflict, missingReference } from "../refusal.ts";
import { removeInstance } from "./instance-removal.ts";
import { instanceActions } from "./instance-actions.ts";
import { changeOf, checkChange, growVolume, submitChange, targetsOf, watchInput } from "./instance-change.ts";

export interface InstanceIntentDeps {
  readonly allocation: Pick<Allocation, "in">;
  readonly addresses: Pick<AddressBook, "lease">;
  readonly fleet: Pick<Fleet, "in" | "placerIn" | "size" | "decided" | "requestOf">;
  readonly engine: Pick<OperationEngine, "submit" | "requireIdle">;
}

export function instanceIntents(deps: InstanceIntentDeps): KindIntents<"Instance"> {
  return {
    initialStatus: { state: "pending", health: "unknown", addresses: [], conditions: [] },
    create: (tx, draft, context) => createInstance(deps, tx, draft, context),
    update(tx, before, after, context) {
      const change = changeOf(before, after);
      checkChange(tx, deps.fleet, deps.allocation.in(tx), before, after);
      const resource = tx.put(withChangedLease(after, tx.revision));
      growVolume(tx, resource);
      const operation = submitChange(tx, deps.engine, resource, change, context);
      return { resource, ...(operation === undefined ? {} : { operation }) };
    },
    remove: (tx, instance, context) => removeInstance(deps.engine, tx, instance, context),
    actions: instanceActions(deps),
  };
}

/** @throws SkerryError invalid-request where a hard constraint names none that is there; of several one is enough */
function refuseNowhere(view: View, placement: PlacementConstraints | undefined): void {
  if (placement === undefined) return;
  const { nodes, sites, providers } = placement;
  const named = [
    ["nodes", "Node", nodes],
    ["sites", "Site", sites],
    ["providers", "Provider", providers],
  ] as const;
  for (const [field, kind, names] of named) {
    const [first] = names ?? [];
    if (first === undefined || names?.some((name) => view.get(kind, { name }) !== undefined) === true) continue;
    throw missingReference(`/spec/placement/${field}`, kind, first);
  }
}

/** Everything that makes an instance happens in one transaction: its place, its volume and its addresses; the rest is the node's work. */
function createInstance(
  deps: InstanceIntentDeps,
  tx: Transaction,
  draft: InstanceResource,
  context: IntentContext,
): IntentOutcome {
  const project = projectOf(tx, draft.metadata);
  const { name } = draft.metadata;
  const { spec } = draft;
  const image = readyImage(tx, project, spec.image, "/spec/image", context.sees);
  checkImageFits(image, spec);
  for (const network of spec.networks ?? []) referenced(tx, "Network", network, "/spec/networks", project);
  if (tx.get("Volume", { project, name }) !== undefined) {
    throw conflict(
      `The project ${project} has a volume called ${name} already.`,
      "Choose another name for the instance.",
    );
  }
  refuseNowhere(tx, spec.placement);
  const { revision } = tx;
  const choice = chooseAnywhere(deps.fleet, tx, deps.fleet.requestOf(tx, draft), namingFor(context.rights));
  const { node, nodeId, reason, decision, devices } = choice;
  const since = timestamp(context.nowMs);
  const assignment = { node, nodeId, reason, epoch: 1, since };
  const volume = tx.put<VolumeResource>({
    kind: "Volume",
    metadata: {
      name,
      project,
      id: context.makeId("vol"),
      revision: 0,
      generation: 1,
      labels: {},
      createdAt: since,
      updatedAt: since,
    },
    spec: { sizeMiB: spec.diskMiB ?? image.spec.virtualSizeMiB, image: spec.image, instance: name },
    assignment,
    status: { state: "absent", conditions: [] },
  });
  const addresses = deps.addresses.lease(tx, draft);
  const resource = tx.put({
    ...draft,
    assignment: {
      ...assignment,
      ...(devices === undefined ? {} : { devices }),
      ...freshLease(draft, tx.revision),
      decision: { ...decision, revision, generation: draft.metadata.generation },
    },
    status: { ...draft.status, addresses },
  });
  const operation = deps.engine.submit(tx, {
    type: "instance.create",
    targets: targetsOf(resource),
    actor: context.actor,
    cause: context.cause,
    input: watchInput(resource, volume),
  });
  return { resource, operation };
}
