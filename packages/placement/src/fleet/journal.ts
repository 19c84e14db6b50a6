import type { Capacity } from "@skerry/model";
import type { Candidate } from "../candidate.ts";
import type { Steps } from "../steps.ts";
import type { NodeFleet } from "./fleet.ts";

/** What a node was until it changed: all of it, nothing where it was not there, or only what was taken on it. */
type Entry =
  | { readonly id: string; readonly node: Candidate | undefined }
  | { readonly id: string; readonly used: Readonly<Capacity> };

const undonePerStep = 256;

/** Changes of a fleet, so that a copy of it can be set back to what it was when something was decided. 0.1 us each. */
export class FleetJournal {
  readonly #entries: Entry[] = [];
  readonly #kept: number;
  #mark = 0;

  /** @param kept how many changes it goes back */
  constructor(kept: number) {
    this.#kept = kept;
  }

  /** Of all changes so far: where `undo` sets back to. */
  get mark(): number {
    return this.#mark;
  }

  put(fleet: NodeFleet, node: Candidate): void {
    this.#note({ id: node.id, node: nodeIn(fleet, node.id) });
    fleet.put(node);
  }

  remove(fleet: NodeFleet, id: string): void {
    const node = nodeIn(fleet, id);
    if (node === undefined) return;
    this.#note({ id, node });
    fleet.remove(id);
  }

  setUsed(fleet: NodeFleet, id: string, used: Readonly<Capacity>): void {
    const before = fleet.setUsed(id, used);
    if (before !== undefined) this.#note({ id, used: before });
  }

  remembers(mark: number): boolean {
    return mark <= this.#mark && this.#mark - mark <= this.#kept;
  }

  /** Sets a copy of the fleet as it is now back. @throws RangeError where it does not go back so far */
  undo(copy: NodeFleet, mark: number): Steps<void> {
    if (!this.remembers(mark)) throw new RangeError(`changes since ${mark} are no longer kept`);
    // What comes meanwhile the copy knows nothing of, and it overwrites what lies longest.
    const newest = this.#mark - 1;
    return setBack(
      copy,
      Array.from({ length: newest + 1 - mark }, (_, back) => this.#at(newest - back)),
    );
  }

  #note(entry: Entry): void {
    this.#entries[this.#mark % this.#kept] = entry;
    this.#mark += 1;
  }

  #at(mark: number): Entry {
    return this.#entries[mark % this.#kept] as Entry;
  }
}

function* setBack(copy: NodeFleet, entries: readonly Entry[]): Steps<void> {
  for (const [index, entry] of entries.entries()) {
    if (index % undonePerStep === undonePerStep - 1) yield;
    if ("used" in entry) copy.setUsed(entry.id, entry.used);
    else if (entry.node === undefined) copy.remove(entry.id);
    else copy.put(entry.node);
  }
}

function nodeIn(fleet: NodeFleet, id: string): Candidate | undefined {
  const slot = fleet.slotOf(id);
  return slot === undefined ? undefined : fleet.at(slot);
}
