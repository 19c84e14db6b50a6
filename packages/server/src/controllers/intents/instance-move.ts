import type { InstanceResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { IntentContext, IntentOutcome } from "../../intents.ts";
import { namingFor } from "../node-naming.ts";
import { chooseToward, type Target } from "../placing.ts";
import { rootVolumeOf } from "../reap.ts";
import { referenced } from "../references.ts";
import { conflict } from "../refusal.ts";
import { refuseDeleted, targetsOf } from "./instance-change.ts";
import type { InstanceIntentDeps } from "./instance.ts";

export type MoveDeps = Pick<InstanceIntentDeps, "engine" | "fleet">;

export interface MoveWish {
  readonly target?: Target;
  /** When to give up and take everything back; from the disk's size where absent. */
  readonly deadlineSeconds?: number;
  /** Names of nodes to which it is not to go. */
  readonly avoid?: readonly string[];
  /** Ends what only watches how a wish comes true; the wish itself stays. */
  readonly replaces?: boolean;
}

/** Fifteen minutes and a second for each 4 MiB of disk. */
const migrationBaseMs = 15 * 60_000;
const migrationMsPerMiB = 250;

/**
 * Begins the move of an instance: chooses where to and keeps the room there in the same transaction; nothing is stopped before that.
 * @throws SkerryError busy, conflict or no-placement, with nothing changed
 */
export function startMove(
  deps: MoveDeps,
  tx: Transaction,
  instance: InstanceResource,
  { target = {}, deadlineSeconds, avoid = [], replaces = false }: MoveWish,
  context: Pick<IntentContext, "actor" | "cause" | "rights">,
): IntentOutcome & { readonly operation: NonNullable<IntentOutcome["operation"]> } {
  refuseDeleted(instance);
  const { name, project, id } = instance.metadata;
  const { assignment } = instance;
  const subject = { kind: "Instance", name, ...(project === undefined ? {} : { project }) };
  deps.engine.requireIdle(tx, subject, replaces);
  const volume = rootVolumeOf(tx, instance);
  if (assignment === undefined || volume?.assignment?.filled !== true) {
    throw conflict(`The disk of ${name} is not ready yet.`, "Wait until the instance has been created.", {
      preparing: volume !== undefined && volume.status.state !== "failed",
    });
  }
  // A copy on hold may be replaced: whoever asks to move there knows that it is out of date.
  const leaving = (volume.assignment.copies ?? []).filter(({ purpose }) => purpose !== "hold").map(({ node }) => node);
  refuseReturn(target, assignment.node, leaving);
  const { revision } = tx;
  const { reason, decision, devices, ...to } = chooseToward(
    deps.fleet,
    tx,
    { ...deps.fleet.requestOf(tx, instance), excludeNodes: [assignment.node, ...leaving, ...avoid] },
    target,
    namingFor(context.rights),
  );
  const operation = deps.engine.submit(tx, {
    type: "instance.migrate",
    targets: targetsOf(instance, to.node),
    actor: context.actor,
    cause: context.cause,
    input: {
      instanceId: id,
      volumeId: volume.metadata.id,
      from: { node: assignment.node, nodeId: assignment.nodeId },
      to,
      reason,
      decision: { ...decision, revision, generation: instance.metadata.generation },
    },
    deadlineMs:
      deadlineSeconds === undefined
        ? migrationBaseMs + volume.spec.sizeMiB * migrationMsPerMiB
        : deadlineSeconds * 1000,
    replaces,
  });
  const resource = tx.put({
    ...instance,
    assignment: { ...assignment, movingTo: devices === undefined ? to : { ...to, devices } },
  });
  return { resource, operation };
}

/** @throws SkerryError invalid-request for what does not exist */
export function checkTarget(view: View, { toProvider, toSite, toNode }: Target): void {
  if (toProvider !== undefined) referenced(view, "Provider", toProvider, "/toProvider");
  if (toSite !== undefined) referenced(view, "Site", toSite, "/toSite");
  if (toNode !== undefined) referenced(view, "Node", toNode, "/toNode");
}

/** @throws SkerryError conflict for where it can't go now */
function refuseReturn({ toNode }: Target, present: string, leaving: readonly string[]): void {
  if (toNode === present) throw conflict(`It is on ${present} already.`, "Name another node, or none.");
  if (toNode !== undefined && leaving.includes(toNode)) {
    throw conflict(
      `${toNode} still has an earlier copy of its disk, which must go first.`,
      "Try again in a moment; if the node is away, bring it back first.",
    );
  }
}
