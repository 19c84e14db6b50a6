import { OrderedRows, type CompareToRow } from "./ordered-rows.ts";

/** The labels that some rows have: whoever has the same shares them. */
interface LabelSet {
  readonly text: string;
  readonly terms: readonly string[];
  users: number;
}

/**
 * Rows by label, in the order of their names. A row without labels costs nothing, another 4 to 8 bytes for each label; equal sets of
 * labels are held once.
 */
export class LabelIndex {
  readonly #sets: (LabelSet | undefined)[] = [{ text: "{}", terms: [], users: 0 }];
  readonly #numbers = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #rows = new Map<string, OrderedRows>();

  /** The set's number, for one more row. @param text JSON of an object of strings */
  hold(text: string): number {
    if (text === "{}") return 0;
    const known = this.#numbers.get(text);
    const set = known === undefined ? undefined : this.#sets[known];
    if (known !== undefined && set !== undefined) {
      set.users++;
      return known;
    }
    const terms = Object.entries(JSON.parse(text) as Record<string, string>).map(([key, value]) => termOf(key, value));
    const number = this.#free.pop() ?? this.#sets.length;
    this.#sets[number] = { text, terms, users: 1 };
    this.#numbers.set(text, number);
    return number;
  }

  release(number: number): void {
    const set = this.#sets[number];
    if (number === 0 || set === undefined || --set.users > 0) return;
    this.#sets[number] = undefined;
    this.#numbers.delete(set.text);
    this.#free.push(number);
  }

  /** @param compare of the row's own name with others' */
  insert(number: number, row: number, compare: CompareToRow): void {
    for (const term of this.#sets[number]?.terms ?? []) this.#rowsOf(term).insert(row, compare);
  }

  /** Only for a row that was inserted with these labels and this name. */
  remove(number: number, row: number, compare: CompareToRow): void {
    for (const term of this.#sets[number]?.terms ?? []) {
      const rows = this.#rowsOf(term);
      rows.remove(row, compare);
      if (rows.size === 0) this.#rows.delete(term);
    }
  }

  /** For a row whose name comes after those of all that are there. */
  append(number: number, row: number): void {
    for (const term of this.#sets[number]?.terms ?? []) this.#rowsOf(term).append(row);
  }

  /** Undefined where no row has this label. */
  rows(key: string, value: string): OrderedRows | undefined {
    return this.#rows.get(termOf(key, value));
  }

  #rowsOf(term: string): OrderedRows {
    const known = this.#rows.get(term);
    if (known !== undefined) return known;
    const rows = new OrderedRows();
    this.#rows.set(term, rows);
    return rows;
  }
}

function termOf(key: string, value: string): string {
  return `${key}=${value}`;
}
