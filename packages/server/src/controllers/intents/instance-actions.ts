import { Type } from "typebox";
import { Name, optional, strict, type InstanceResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { ActionIntent, IntentContext, IntentOutcome } from "../../intents.ts";
import { chooseNode, requestOf, type Target } from "../placing.ts";
import { rootVolumeOf } from "../reap.ts";
import { referenced } from "../references.ts";
import { conflict } from "../refusal.ts";
import { powerOf, refuseDeleted, submitChange, targetsOf } from "./instance-change.ts";
import type { InstanceIntentDeps } from "./instance.ts";

type InstanceAction = ActionIntent<"Instance">;

export function instanceActions(deps: InstanceIntentDeps): Readonly<Record<string, InstanceAction>> {
  const setPower = (
    tx: Transaction,
    instance: InstanceResource,
    power: "running" | "stopped",
    stopGraceMs: number | undefined,
    context: IntentContext,
  ): IntentOutcome => {
    refuseDeleted(instance);
    const changed = tx.put(withPower(instance, power, stopGraceMs));
    const operation = submitChange(tx, deps.engine, changed, power === "running" ? "start" : "stop", context);
    return { resource: changed, ...(operation === undefined ? {} : { operation }) };
  };
  return {
    start: {
      summary: "Start the guest",
      input: strict({}),
      run: (tx, instance, _input, context) => setPower(tx, instance, "running", undefined, context),
    },
    stop: {
      summary: "Shut the guest down; killed if it takes longer than the grace, at once with `force`",
      input: strict({
        force: optional(Type.Boolean()),
        /** The node's own grace where absent, 30 s. */
        graceSeconds: optional(Type.Integer({ minimum: 0, maximum: 3600 })),
      }),
      run: (tx, instance, input, context) => setPower(tx, instance, "stopped", graceOf(input), context),
    },
    reboot: {
      summary: "Reboot the guest",
      input: strict({}),
      run(tx, instance, _input, context) {
        refuseDeleted(instance);
        const { name } = instance.metadata;
        if (powerOf(instance) === "stopped")
          throw conflict(`${name} is stopped.`, `Start it: skerry instance start ${name}`);
        const rebootGeneration = (instance.spec.rebootGeneration ?? 0) + 1;
        const resource = tx.put(withSpec(instance, { ...instance.spec, rebootGeneration }));
        const operation = submitChange(tx, deps.engine, resource, "reboot", context);
        return { resource, ...(operation === undefined ? {} : { operation }) };
      },
    },
    migrate: {
      summary: "Move the instance with its disk, name and addresses to another node, site or provider",
      input: strict({
        toProvider: optional(Name),
        toSite: optional(Name),
        toNode: optional(Name),
        /** When to give up and take everything back; from the disk's size where absent. */
        deadlineSeconds: optional(Type.Integer({ minimum: 10, maximum: 604_800 })),
      }),
      run: (tx, instance, input, context) => migrate(deps, tx, instance, input, context),
    },
  };
}

/** How long the guest gets to shut down by itself; undefined leaves it to the node. */
function graceOf({ force, graceSeconds }: Readonly<Record<string, unknown>>): number | undefined {
  if (force === true) return 0;
  return typeof graceSeconds === "number" ? graceSeconds * 1000 : undefined;
}

/** Fifteen minutes and a second for each 4 MiB of disk. */
const migrationBaseMs = 15 * 60_000;
const migrationMsPerMiB = 250;

/** Chooses where to and keeps the room there in the same transaction; nothing is stopped before that. */
function migrate(
  deps: InstanceIntentDeps,
  tx: Transaction,
  instance: InstanceResource,
  input: Readonly<Record<string, unknown>>,
  context: IntentContext,
): IntentOutcome {
  refuseDeleted(instance);
  const { name, project, id } = instance.metadata;
  const { assignment } = instance;
  const subject = { kind: "Instance", name, ...(project === undefined ? {} : { project }) };
  deps.engine.requireIdle(tx, subject);
  const volume = rootVolumeOf(tx, instance);
  if (assignment === undefined || volume?.assignment?.filled !== true) {
    throw conflict(`The disk of ${name} is not ready yet.`, "Wait until the instance has been created.");
  }
  const { deadlineSeconds, ...target } = input as Target & { readonly deadlineSeconds?: number };
  // A copy on hold may be replaced: whoever asks to move there knows that it is out of date.
  const leaving = (volume.assignment.copies ?? []).filter(({ purpose }) => purpose !== "hold").map(({ node }) => node);
  checkTarget(tx, target, assignment.node, leaving);
  const { reason, ...to } = chooseNode(
    deps.fleet.in(tx),
    { ...requestOf(tx, instance), excludeNodes: [assignment.node, ...leaving] },
    target,
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
    },
    deadlineMs:
      deadlineSeconds === undefined
        ? migrationBaseMs + volume.spec.sizeMiB * migrationMsPerMiB
        : deadlineSeconds * 1000,
  });
  const resource = tx.put({ ...instance, assignment: { ...assignment, movingTo: to } });
  return { resource, operation };
}

/** @throws SkerryError invalid-request for what does not exist, conflict for where it can't go now */
function checkTarget(
  tx: Transaction,
  { toProvider, toSite, toNode }: Target,
  present: string,
  leaving: readonly string[],
): void {
  if (toProvider !== undefined) referenced(tx, "Provider", toProvider, "/toProvider");
  if (toSite !== undefined) referenced(tx, "Site", toSite, "/toSite");
  if (toNode !== undefined) referenced(tx, "Node", toNode, "/toNode");
  if (toNode === present) throw conflict(`It is on ${present} already.`, "Name another node, or none.");
  if (toNode !== undefined && leaving.includes(toNode)) {
    throw conflict(
      `${toNode} still has an earlier copy of its disk, which must go first.`,
      "Try again in a moment; if the node is away, bring it back first.",
    );
  }
}

function withPower(
  instance: InstanceResource,
  power: "running" | "stopped",
  stopGraceMs: number | undefined,
): InstanceResource {
  const changed = powerOf(instance) === power ? instance : withSpec(instance, { ...instance.spec, power });
  if (changed.assignment === undefined) return changed;
  const { stopGraceMs: _before, ...assignment } = changed.assignment;
  return { ...changed, assignment: { ...assignment, ...(stopGraceMs === undefined ? {} : { stopGraceMs }) } };
}

function withSpec(instance: InstanceResource, spec: InstanceResource["spec"]): InstanceResource {
  return { ...instance, spec, metadata: { ...instance.metadata, generation: instance.metadata.generation + 1 } };
}
