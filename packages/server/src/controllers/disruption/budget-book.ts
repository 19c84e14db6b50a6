import type { KindName, ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import { talliesOf, type Tally } from "./budget-guard.ts";

/** Shows of budgets what there is of them now; for replies. A project is counted once for each state of the store. */
export class BudgetBook {
  readonly #view: View;
  #revision = -1;
  #tallies = new Map<string, readonly Tally[]>();

  /** @param view the newest state */
  constructor(view: View) {
    this.#view = view;
  }

  counted<R extends ResourceOf<KindName>>(resource: R): R {
    if (resource.kind !== "DisruptionBudget") return resource;
    const { name, project = "" } = resource.metadata;
    const tally = this.#of(project).find(({ budget }) => budget.metadata.name === name);
    if (tally === undefined) return resource;
    const { instances, unavailable } = tally;
    const allowed = Math.max(0, resource.spec.maxUnavailable - unavailable);
    return { ...resource, status: { ...resource.status, instances, unavailable, allowed } };
  }

  #of(project: string): readonly Tally[] {
    if (this.#revision !== this.#view.revision) this.#tallies = new Map();
    this.#revision = this.#view.revision;
    const known = this.#tallies.get(project);
    if (known !== undefined) return known;
    const counted = talliesOf(this.#view, project);
    this.#tallies.set(project, counted);
    return counted;
  }
}
