/** Numbers for words that many rows share, such as nodes' ids; "" is 0. A word is never forgotten. */
export class Words {
  readonly #words: string[] = [""];
  readonly #numbers = new Map<string, number>([["", 0]]);

  /** Gives the word a number where it has none. */
  numberOf(word: string): number {
    const known = this.#numbers.get(word);
    if (known !== undefined) return known;
    this.#numbers.set(word, this.#words.push(word) - 1);
    return this.#words.length - 1;
  }

  find(word: string): number | undefined {
    return this.#numbers.get(word);
  }

  word(number: number): string {
    return this.#words[number] ?? "";
  }
}
