import { SkerryError, type DisruptionBudgetResource, type InstanceResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { isMoving, isUnavailable, isWanted } from "./unavailable.ts";

/** A budget and what there is of it. */
export interface Tally {
  readonly budget: DisruptionBudgetResource;
  instances: number;
  unavailable: number;
  /** Of them those that a move holds down, which ends. */
  moving: number;
}

/** What a project's budgets come to, by a look at each of its instances: about 5 us each where there is a budget, else nothing. */
export function talliesOf(view: View, project: string): readonly Tally[] {
  const tallies = view.list("DisruptionBudget", project).map((budget): Tally => {
    return { budget, instances: 0, unavailable: 0, moving: 0 };
  });
  if (tallies.length === 0) return tallies;
  for (const instance of view.list("Instance", project)) {
    const concerned = tallies.filter(({ budget }) => isFor(budget, instance));
    if (concerned.length === 0 || !isWanted(instance)) continue;
    const down = isUnavailable(view, instance) ? 1 : 0;
    const moving = isMoving(instance) ? down : 0;
    for (const tally of concerned) {
      tally.instances++;
      tally.unavailable += down;
      tally.moving += moving;
    }
  }
  return tallies;
}

export function isFor({ spec }: DisruptionBudgetResource, { metadata }: InstanceResource): boolean {
  return Object.entries(spec.selector ?? {}).every(
    ([label, value]) => Object.hasOwn(metadata.labels, label) && metadata.labels[label] === value,
  );
}

/**
 * Says what budgets allow within one transaction, and counts what that transaction takes down itself: made anew for each, since it
 * asks once what a project has. Transactions run one after the other, so that no two of them take the same last place.
 */
export class BudgetGuard {
  readonly #view: View;
  readonly #count: (view: View, project: string) => readonly Tally[];
  readonly #tallies = new Map<string, readonly Tally[]>();

  /** @param count the guard's own of a project */
  constructor(view: View, count: (view: View, project: string) => readonly Tally[] = talliesOf) {
    this.#view = view;
    this.#count = count;
  }

  /**
   * Does what takes the instance down, and counts it as down from here on.
   * @throws SkerryError disruption-budget where that would be one too many, or what `work` throws, with nothing counted
   */
  within<T>(instance: InstanceResource, work: () => T): T {
    // What is down already is not taken down once more.
    if (!isWanted(instance) || isUnavailable(this.#view, instance)) return work();
    const concerned = this.#concerned(instance);
    const result = work();
    for (const tally of concerned) {
      tally.unavailable++;
      tally.moving++;
    }
    return result;
  }

  /** Takes nothing. @throws SkerryError disruption-budget as `within` does */
  check(instance: InstanceResource): void {
    if (isWanted(instance) && !isUnavailable(this.#view, instance)) this.#concerned(instance);
  }

  #concerned(instance: InstanceResource): readonly Tally[] {
    const concerned = this.#of(instance.metadata.project ?? "").filter(({ budget }) => isFor(budget, instance));
    const spent = concerned.find(({ budget, unavailable }) => unavailable >= budget.spec.maxUnavailable);
    if (spent !== undefined) throw refused(spent);
    return concerned;
  }

  #of(project: string): readonly Tally[] {
    const known = this.#tallies.get(project);
    if (known !== undefined) return known;
    const counted = this.#count(this.#view, project);
    this.#tallies.set(project, counted);
    return counted;
  }
}

function refused({ budget, unavailable, moving }: Tally): SkerryError {
  const { maxUnavailable } = budget.spec;
  const { name, project } = budget.metadata;
  const are = unavailable === 1 ? "1 is" : `${unavailable} are`;
  return new SkerryError(
    "disruption-budget",
    `The disruption budget ${project}/${name} allows ${maxUnavailable} to be down at once, and ${are}.`,
    {
      remedy: `Wait, or see which: skerry instance list --project ${project}. Who owns them may widen it: skerry disruption-budget show ${name} --project ${project}`,
      facts: { budget: name, project, maxUnavailable, unavailable, moving },
    },
  );
}
