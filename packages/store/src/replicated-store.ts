import type { SkerryError } from "@skerry/model";
import type { Store } from "./store.ts";

/** What one replica does now. Only the leader's `transact` is taken; a follower shows what the leader has made durable. */
export type Role =
  | { readonly kind: "leader"; readonly epoch: number }
  | {
      readonly kind: "follower";
      /** Who leads, as far as is known; undefined while nobody does. */
      readonly leader: { readonly epoch: number; readonly url: string } | undefined;
    }
  /** It can neither lead nor follow any more: close it and open the store anew. */
  | { readonly kind: "lost"; readonly cause: SkerryError };

/** A store that several replicas share. */
export interface ReplicatedStore extends Store {
  readonly role: Role;
  /** Whether it leads and heard so from the database a moment ago, on a clock that never jumps. */
  readonly surelyLeads: boolean;
  /** Calls back after each change of the role; what it throws is an uncaught exception. Returns how to stop. */
  onRole(listener: (role: Role) => void): () => void;
}
