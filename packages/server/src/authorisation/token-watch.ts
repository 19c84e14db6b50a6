import { SkerryError, type KindName } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { Clock } from "../operations/clock.ts";
import { stillHolds } from "./authentication.ts";
import type { Principal } from "./principal.ts";
import type { RightsIndex } from "./rights-index.ts";

/** A principal's right to a long stream: `signal` aborts once its token is deleted, expired or changed. */
export interface HeldToken extends Disposable {
  readonly signal: AbortSignal;
}

/** Ends streams that would outlive their token. */
export interface TokenWatch {
  hold(principal: Principal): HeldToken;
  close(): void;
}

/** What decides over the rights of others' tokens. */
const deciding: ReadonlySet<KindName> = new Set(["User", "Group", "ServiceAccount", "Role", "RoleBinding"]);

export function makeTokenWatch(store: Store, rights: RightsIndex, clock: Clock): TokenWatch {
  const held = new Map<string, Set<() => void>>();

  const unsubscribe = store.subscribe((events) => {
    if (events.some(({ kind }) => deciding.has(kind))) {
      for (const checks of [...held.values()]) for (const check of [...checks]) check();
      return;
    }
    for (const event of events) {
      if (event.kind === "ApiToken") for (const check of [...(held.get(event.id) ?? [])]) check();
    }
  });

  return {
    hold(principal) {
      const controller = new AbortController();
      const checks = held.get(principal.tokenId) ?? new Set();
      held.set(principal.tokenId, checks);
      let cancelTimer = (): void => undefined;

      const release = (): void => {
        cancelTimer();
        checks.delete(check);
        if (checks.size === 0 && held.get(principal.tokenId) === checks) held.delete(principal.tokenId);
      };
      const check = (): void => {
        cancelTimer();
        if (!stillHolds(store, rights, principal, clock.nowMs())) {
          release();
          controller.abort(
            new SkerryError(
              "unauthenticated",
              "The token of this stream has expired, was deleted, or has other rights now.",
            ),
          );
        } else if (principal.expiresAtMs !== undefined) {
          // A timer may end early, since its delay is limited: `check` then sets the next.
          cancelTimer = clock.setTimer(Math.max(principal.expiresAtMs - clock.nowMs(), 1), check);
        }
      };
      checks.add(check);
      check();
      return { signal: controller.signal, [Symbol.dispose]: release };
    },
    close() {
      unsubscribe();
    },
  };
}
