import { Type } from "typebox";
import { Name, optional, strict, type InstanceResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { ActionIntent, IntentContext, IntentOutcome } from "../../intents.ts";
import type { Target } from "../placing.ts";
import { conflict } from "../refusal.ts";
import { powerOf, refuseDeleted, submitChange } from "./instance-change.ts";
import { checkTarget, startMove } from "./instance-move.ts";
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
      run(tx, instance, input, context) {
        const { deadlineSeconds, ...target } = input as Target & { readonly deadlineSeconds?: number };
        checkTarget(tx, target);
        return startMove(
          deps,
          tx,
          instance,
          { target, ...(deadlineSeconds === undefined ? {} : { deadlineSeconds }) },
          context,
        );
      },
    },
  };
}

/** How long the guest gets to shut down by itself; undefined leaves it to the node. */
function graceOf({ force, graceSeconds }: Readonly<Record<string, unknown>>): number | undefined {
  if (force === true) return 0;
  return typeof graceSeconds === "number" ? graceSeconds * 1000 : undefined;
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
