import { isDeepStrictEqual } from "node:util";

/** Fields by JSON pointer. */
export type Flat = ReadonlyMap<string, unknown>;

export type Expected =
  | { readonly outcome: "done" }
  | { readonly outcome: "invalid" }
  | { readonly outcome: "absent" }
  | { readonly outcome: "conflict"; readonly conflicts: ReadonlyMap<string, readonly string[]> };

/**
 * What server-side apply should come to, by other means than the server's: every field has its set of owners, written out, `api`
 * among them, and there are no documents.
 */
export class AppliedObject {
  fields = new Map<string, unknown>();
  owners = new Map<string, Set<string>>();
  readonly #needed: readonly string[];
  readonly #neededWith: Readonly<Record<string, readonly string[]>>;

  /** @param neededWith what must be there where anything under a path is */
  constructor(needed: readonly string[], neededWith: Readonly<Record<string, readonly string[]>>) {
    this.#needed = needed;
    this.#neededWith = neededWith;
  }

  apply(manager: string, wish: Flat, force: boolean): Expected {
    const fields = new Map(this.fields);
    const owners = new Map([...this.owners].map(([pointer, whose]) => [pointer, new Set(whose)]));
    for (const [pointer, whose] of owners) {
      if (wish.has(pointer) || !whose.delete(manager) || whose.size > 0) continue;
      owners.delete(pointer);
      fields.delete(pointer);
    }
    const conflicts = new Map<string, readonly string[]>();
    for (const [pointer, value] of wish) {
      const whose = owners.get(pointer) ?? new Set();
      const agrees = !fields.has(pointer) || isDeepStrictEqual(fields.get(pointer), value);
      const others = [...whose].filter((one) => one !== manager);
      if (!agrees && others.length > 0) conflicts.set(pointer, others.toSorted());
      fields.set(pointer, value);
      owners.set(pointer, agrees ? new Set([...others, manager]) : new Set([manager]));
    }
    if (!this.#isValid(fields)) return { outcome: "invalid" };
    if (conflicts.size > 0 && !force) return { outcome: "conflict", conflicts };
    this.fields = fields;
    this.owners = owners;
    return { outcome: "done" };
  }

  /** Everything anew, by nobody in particular; undefined deletes. */
  write(all: Flat | undefined): Expected {
    if (all === undefined) {
      const wasThere = this.fields.size > 0;
      this.fields = new Map();
      this.owners = new Map();
      return { outcome: wasThere ? "done" : "absent" };
    }
    if (!this.#isValid(all)) return { outcome: "invalid" };
    const owners = new Map<string, Set<string>>();
    for (const [pointer, value] of all) {
      const kept = this.fields.has(pointer) && isDeepStrictEqual(this.fields.get(pointer), value);
      owners.set(pointer, kept ? (this.owners.get(pointer) ?? new Set()) : new Set(["api"]));
    }
    this.fields = new Map(all);
    this.owners = owners;
    return { outcome: "done" };
  }

  #isValid(fields: Flat): boolean {
    if (!this.#needed.every((pointer) => fields.has(pointer))) return false;
    return Object.entries(this.#neededWith).every(
      ([path, needed]) =>
        ![...fields.keys()].some((pointer) => pointer.startsWith(`${path}/`)) ||
        needed.every((pointer) => fields.has(pointer)),
    );
  }
}
