/** Words and the numbers that stand for them in columns, from 0 on; none is ever taken out. */
export class Dictionary {
  readonly words: string[];
  readonly #numbers: Map<string, number>;

  /** @param like a dictionary that it is a copy of, or its first words */
  constructor(like: Dictionary | readonly string[] = []) {
    const isCopy = like instanceof Dictionary;
    this.words = isCopy ? [...like.words] : [];
    this.#numbers = new Map(isCopy ? like.#numbers : []);
    if (!isCopy) for (const word of like) this.number(word);
  }

  /** Of a word, new or known. */
  number(word: string): number {
    const known = this.#numbers.get(word);
    if (known !== undefined) return known;
    this.#numbers.set(word, this.words.length);
    return this.words.push(word) - 1;
  }

  find(word: string): number | undefined {
    return this.#numbers.get(word);
  }

  word(number: number): string {
    return this.words[number] ?? "";
  }
}
