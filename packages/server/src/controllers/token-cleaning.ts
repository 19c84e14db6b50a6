import type { Store, View } from "@skerry/store";
import type { Clock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";

export interface TokenCleaningDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a token that is over stays to be looked at. */
const graceMs = 86_400_000;
const sweepMs = 3_600_000;
/** Of each kind at once, so that no transaction grows with what piled up. */
const maxPerSweep = 500;

/** Tokens that can't be used any more, and for how long: join tokens used or expired, API tokens expired. */
function staleTokens(
  view: View,
  nowMs: number,
): readonly { readonly kind: "JoinToken" | "ApiToken"; readonly id: string }[] {
  // A moment that does not parse is never long ago: such a token stays.
  const longAgo = (moment: string | undefined): boolean => moment !== undefined && nowMs - Date.parse(moment) > graceMs;
  const joins = view.list("JoinToken").filter(({ status }) => longAgo(status.usedAt) || longAgo(status.expiresAt));
  const accesses = view.list("ApiToken").filter(({ status }) => longAgo(status.expiresAt));
  return [...joins.slice(0, maxPerSweep), ...accesses.slice(0, maxPerSweep)].map(({ kind, metadata }) => ({
    kind,
    id: metadata.id,
  }));
}

/** Removes stale tokens at the start and each hour. */
export class TokenCleaning {
  readonly #deps: TokenCleaningDeps;
  #cancelTimer: () => void = () => undefined;
  #sweeping: Promise<void> | undefined;
  #stopped = false;

  constructor(deps: TokenCleaningDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { clock, log } = this.#deps;
    this.#sweeping = this.#sweep()
      .catch((error: unknown) => log.error({ error }, "stale tokens could not be removed"))
      .finally(() => {
        if (!this.#stopped) this.#cancelTimer = clock.setTimer(sweepMs, () => this.start());
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const { store, clock, log } = this.#deps;
    if (staleTokens(store, clock.nowMs()).length === 0) return;
    const { result } = await store.transact((tx) => {
      const stale = staleTokens(tx, clock.nowMs());
      for (const { kind, id } of stale) tx.delete(kind, id);
      return stale.length;
    });
    log.info({ count: result }, "tokens that were used up or expired a day ago are removed");
  }
}
