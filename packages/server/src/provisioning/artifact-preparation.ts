import { SkerryError } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { Log } from "../operations/log.ts";

/**
 * Prepares what is copied to hosts in the background, as soon as there is a provider whose hosts are provisioned: at the
 * start, or when the first is declared. A zone whose agents all join by themselves never spends the time. What fails is
 * logged here, tried again by the first provisioning, and told there.
 * @returns ends the watch for such a provider
 */
export function prepareAhead(store: Store, prepare: () => Promise<unknown>, log: Log): () => void {
  let unsubscribe = (): void => undefined;
  let stopped = false;
  const begin = (): boolean => {
    if (!store.list("Provider").some((provider) => provider.spec.driver === "ssh")) return false;
    unsubscribe();
    const fromMs = performance.now();
    prepare().then(
      () => log.info({ elapsedMs: Math.round(performance.now() - fromMs) }, "what is installed on hosts is prepared"),
      (error: unknown) => {
        if (stopped) return;
        const remedy = error instanceof SkerryError ? error.remedy : undefined;
        log.warn({ error, remedy }, "what is installed on hosts could not be prepared; provisioning will try again");
      },
    );
    return true;
  };
  if (!begin()) {
    unsubscribe = store.subscribe((events) => {
      if (events.some((event) => event.kind === "Provider")) begin();
    });
  }
  return () => {
    stopped = true;
    unsubscribe();
  };
}
