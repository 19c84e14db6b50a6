import type { ChangeEvent, Store, Tracker, View } from "@skerry/store";
import { rateOf, type OwnRates } from "./request-limits.ts";

const none: OwnRates = {};

/** Rates that projects and organisations have of their own; of those without one nothing is kept. */
export class OwnRateBook implements Tracker {
  readonly #projects = new Map<string, number>();
  readonly #organisations = new Map<string, number>();
  readonly #stop: () => void;

  constructor(store: Pick<Store, "track">) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** @param organisation the project's */
  of(project: string, organisation: string | undefined): OwnRates {
    if (this.#projects.size === 0 && this.#organisations.size === 0) return none;
    const own = this.#projects.get(project);
    const whole = organisation === undefined ? undefined : this.#organisations.get(organisation);
    return {
      ...(own === undefined ? {} : { project: rateOf(own) }),
      ...(organisation === undefined || whole === undefined
        ? {}
        : { organisation: { name: organisation, rate: rateOf(whole) } }),
    };
  }

  reset(newest: View): void {
    this.#projects.clear();
    this.#organisations.clear();
    for (const { metadata, spec } of newest.scan("Project")) note(this.#projects, metadata.name, spec);
    for (const { metadata, spec } of newest.scan("Organisation")) note(this.#organisations, metadata.name, spec);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { object, type, name } of events) {
      if (object.kind !== "Project" && object.kind !== "Organisation") continue;
      const book = object.kind === "Project" ? this.#projects : this.#organisations;
      note(book, name, type === "deleted" ? {} : object.spec);
    }
  }
}

function note(
  book: Map<string, number>,
  name: string,
  { mutationsPerSecond }: { readonly mutationsPerSecond?: number },
): void {
  if (mutationsPerSecond === undefined) book.delete(name);
  else book.set(name, mutationsPerSecond);
}
