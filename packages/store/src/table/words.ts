/** Numbers for words that many rows share, such as nodes' ids; "" is 0. A word that no row has any more is forgotten. */
export class Words {
  readonly #words: string[] = [""];
  readonly #users: number[] = [0];
  readonly #numbers = new Map<string, number>([["", 0]]);
  readonly #free: number[] = [];

  /** The word's number, for one more row. */
  hold(word: string): number {
    const number = this.#numbers.get(word) ?? this.#add(word);
    this.#users[number] = (this.#users[number] ?? 0) + 1;
    return number;
  }

  release(number: number): void {
    const users = (this.#users[number] ?? 0) - 1;
    this.#users[number] = users;
    if (number === 0 || users > 0) return;
    this.#numbers.delete(this.#words[number] ?? "");
    this.#words[number] = "";
    this.#free.push(number);
  }

  find(word: string): number | undefined {
    return this.#numbers.get(word);
  }

  word(number: number): string {
    return this.#words[number] ?? "";
  }

  #add(word: string): number {
    const number = this.#free.pop() ?? this.#words.length;
    this.#words[number] = word;
    this.#users[number] = 0;
    this.#numbers.set(word, number);
    return number;
  }
}
