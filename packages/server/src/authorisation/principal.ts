import type { Role } from "@skerry/model";

/** Who asks, for the length of one request or stream; made only by `authenticate`. */
export interface Principal {
  /** The token's name. */
  readonly name: string;
  readonly role: Role;
  /** The one project that it may see; the whole zone where absent. */
  readonly project?: string;
  readonly tokenId: string;
  /** Milliseconds since 1970; never where absent. */
  readonly expiresAtMs?: number;
}
