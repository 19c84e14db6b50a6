import { requestOf } from "../../src/controllers/placing.ts";
import { operationKinds } from "../../src/operations/registry.ts";
import type { OperationKind } from "../../src/operations/operation-kind.ts";
import { evenRandom } from "../fakes/quiet.ts";
import { placesOf } from "./operation-moments.ts";
import { nameOfAll, type Kill, type Play, type Trouble, type Victim } from "./operation-play.ts";
import type { Scenario } from "./operation-scenarios.ts";

const unasked = (): never => {
  throw new Error("nobody runs these");
};

/** From the registry that the server uses. */
export const registeredKinds: readonly OperationKind[] = operationKinds({
  sight: { report: () => undefined, answers: () => false, onChange: () => () => {} },
  random: evenRandom,
  leases: { isOver: () => false, withhold: () => undefined, release: () => undefined },
  fleet: { in: () => [], requestOf },
  residents: { instanceIdsOn: () => [] },
  convoys: {
    engine: { submit: unasked, requireIdle: unasked, cancel: unasked },
    budgets: { in: unasked },
    fleet: { in: () => [], placerIn: unasked, decided: () => undefined, requestOf, size: 0 },
  },
  authorityFingerprint: "",
  openKey: () => undefined,
  provisioner: { steps: () => [] },
});

/** Nothing, the scenario's own fault, and a cancel in each step. */
export function troublesOf(kind: OperationKind, scenario: Scenario): readonly Trouble[] {
  const steps = placesOf(kind).flatMap(({ step, way }) => (way === "run" ? [step] : []));
  return [
    { kind: "none" },
    ...(scenario.fault === undefined ? [] : [{ kind: "fault" } as const]),
    ...steps.map((step) => ({ kind: "cancel", step }) as const),
  ];
}

export function victimsOf({ withOther }: Scenario): readonly Victim[] {
  const nodes = withOther === true ? (["owner", "other"] as const) : (["owner"] as const);
  const kinds = ["agent", "host"] as const;
  const aways = ["for a moment", "until it is over"] as const;
  return [
    { kind: "server" },
    ...nodes.flatMap((node) => kinds.flatMap((kind) => aways.map((away) => ({ kind, node, away })))),
  ];
}

/** A moment at which something can be killed, and the places of the operation that it belongs to. */
export interface Target extends Pick<Kill, "name" | "nth"> {
  readonly places: readonly string[];
}

/** Every moment of a play; of those in which a step only waits on, the first few and the last. */
export function targetsOf(play: Play, mostOfAName: number): readonly Target[] {
  const counts = new Map<string, number>();
  const all = play.moments.map((moments) => {
    const name = nameOfAll(moments);
    const nth = counts.get(name) ?? 0;
    counts.set(name, nth + 1);
    return { name, nth, places: moments.map(({ step, way }) => `${way} ${step}`) };
  });
  return all.filter(({ name, nth }) => nth < mostOfAName - 1 || nth === (counts.get(name) ?? 0) - 1);
}

/**
 * How an operation must end although something died: nobody who is back soon may make it fail, and a fault or a cancel is answered as
 * it is without a death. Undefined where either is right: of those that never come back, and of a cancel that may come too late.
 */
export function dueEnding(trouble: Trouble, victim: Victim): "succeeded" | "failed" | undefined {
  if (victim.kind !== "server" && victim.away !== "for a moment") return undefined;
  switch (trouble.kind) {
    case "none":
      return "succeeded";
    case "fault":
      return "failed";
    case "cancel":
      return undefined;
  }
}
