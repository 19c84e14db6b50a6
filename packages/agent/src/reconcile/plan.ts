import type { PlannedAction } from "./action.ts";
import { planInstance } from "./plan-instance.ts";
import { planNetworks } from "./plan-network.ts";
import { planVolume } from "./plan-volume.ts";
import type { Situation } from "./situation.ts";

/** What to do about one object next, or why nothing may be done. */
export interface ObjectPlan {
  readonly next?: PlannedAction;
  /** The order can't be followed as it stands; a sentence for people. */
  readonly refusal?: string;
  /** What is in the way for now, where that is no fault. */
  readonly obstacle?: string;
}

/** The next step of every object that isn't as wanted. Pure; at most one step per object, and none where all is well. */
export function plan(situation: Situation): ReadonlyMap<string, ObjectPlan> {
  const plans = new Map<string, ObjectPlan>(planNetworks(situation));
  for (const volume of situation.wanted.volumes) plans.set(`volume:${volume.id}`, planVolume(volume, situation));
  for (const instance of situation.wanted.instances)
    plans.set(`instance:${instance.id}`, planInstance(instance, situation));
  return plans;
}
