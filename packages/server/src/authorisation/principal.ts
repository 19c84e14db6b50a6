import type { Rights } from "./rights.ts";

/** Who asks, for the length of one request or stream; made only by `authenticate`. */
export interface Principal {
  /** The token's name, or its owner's. */
  readonly name: string;
  readonly rights: Rights;
  readonly tokenId: string;
  /** Whose requests count together with its own, of a token that is nobody's; its own alone where absent. */
  readonly countsWith?: string;
  /** What the token's owner is, where it has one. */
  readonly owner?: "User" | "ServiceAccount";
  /** At most so many requests a second, where the token says so. */
  readonly requestsPerSecond?: number;
  /** Milliseconds since 1970; never where absent. */
  readonly expiresAtMs?: number;
}
