import { OrderedRows, type CompareToRow } from "./ordered-rows.ts";

/** The labels that some rows have: whoever has the same shares them. */
interface LabelSet {
  readonly text: string;
  users: number;
}

/**
 * Rows by label, in the order of their names. A row without labels costs nothing, one that shares its labels with others 4 to 8 bytes
 * for each; equal sets of labels are held once. A label that nobody shares costs two texts and their places, about 250 bytes.
 */
export class LabelIndex {
  readonly #sets: (LabelSet | undefined)[] = [{ text: "{}", users: 0 }];
  readonly #numbers = new Map<string, number>();
  readonly #free: number[] = [];
  /** Of the set that was asked for last: neighbours mostly have the same. */
  #lastTerms: { readonly text: string; readonly terms: readonly string[] } = { text: "{}", terms: [] };
  /** A label's only row is held as its number. */
  readonly #rows = new Map<string, number | OrderedRows>();

  /** The set's number, for one more row. @param text JSON of an object of strings */
  hold(text: string): number {
    if (text === "{}") return 0;
    const known = this.#numbers.get(text);
    const set = known === undefined ? undefined : this.#sets[known];
    if (known !== undefined && set !== undefined) {
      set.users++;
      return known;
    }
    const number = this.#free.pop() ?? this.#sets.length;
    this.#sets[number] = { text, users: 1 };
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
    this.#add(number, row, (rows) => rows.insert(row, compare));
  }

  /** Only for a row that was inserted with these labels and this name. */
  remove(number: number, row: number, compare: CompareToRow): void {
    for (const term of this.#termsOf(number)) {
      const rows = this.#rows.get(term);
      if (typeof rows === "object") rows.remove(row, compare);
      else if (rows !== row) throw new Error(`row ${row} does not have the label ${term}`);
      if (typeof rows !== "object" || rows.size === 0) this.#rows.delete(term);
    }
  }

  /** For a row whose name comes after those of all that are there. */
  append(number: number, row: number): void {
    this.#add(number, row, (rows) => rows.append(row));
  }

  /** Undefined where no row has this label. */
  rows(key: string, value: string): OrderedRows | undefined {
    const rows = this.#rows.get(termOf(key, value));
    return typeof rows === "number" ? only(rows) : rows;
  }

  #add(number: number, row: number, addTo: (rows: OrderedRows) => void): void {
    for (const term of this.#termsOf(number)) {
      const known = this.#rows.get(term);
      if (known === undefined) {
        this.#rows.set(term, row);
        continue;
      }
      const rows = typeof known === "number" ? only(known) : known;
      addTo(rows);
      this.#rows.set(term, rows);
    }
  }

  #termsOf(number: number): readonly string[] {
    const text = this.#sets[number]?.text ?? "{}";
    if (text !== this.#lastTerms.text) {
      const labels = JSON.parse(text) as Record<string, string>;
      this.#lastTerms = { text, terms: Object.entries(labels).map(([key, value]) => termOf(key, value)) };
    }
    return this.#lastTerms.terms;
  }
}

function only(row: number): OrderedRows {
  const rows = new OrderedRows();
  rows.append(row);
  return rows;
}

function termOf(key: string, value: string): string {
  return `${key}=${value}`;
}
