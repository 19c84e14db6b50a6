import { SkerryError } from "@skerry/model";
import type { Principal } from "../authorisation/principal.ts";

/** How many long streams one token may have open at once. */
const maxPerToken = 100;

/** Counts a token's open streams. */
export class StreamLimit {
  readonly #open = new Map<string, number>();

  /** Counts one more until disposed. @throws SkerryError too-many-requests */
  enter({ tokenId }: Pick<Principal, "tokenId">): Disposable {
    const count = this.#open.get(tokenId) ?? 0;
    if (count >= maxPerToken) {
      throw new SkerryError("too-many-requests", `This token has ${count} streams open already.`, {
        remedy: "Close some.",
      });
    }
    this.#open.set(tokenId, count + 1);
    return { [Symbol.dispose]: () => this.#leave(tokenId) };
  }

  #leave(tokenId: string): void {
    const left = (this.#open.get(tokenId) ?? 1) - 1;
    if (left === 0) this.#open.delete(tokenId);
    else this.#open.set(tokenId, left);
  }
}
