import { SkerryError, optional } from "@skerry/model";
import type { Store } from "@skerry/store";
import { Type } from "typebox";

/** The query of a read that must not be older than what its caller has seen, for example of its own write. */
export const atRevision = optional(
  Type.String({
    pattern: "^[0-9]{1,15}$",
    description: "a revision: the replica that is asked answers once it shows this one or a newer one",
  }),
);

/** Replicas lag behind by a fraction of a second; whoever asks for more asks for what will not come. */
const patienceMs = 3000;

/** Waits until the store shows `revision`. @throws SkerryError unavailable where it does not within 3 s */
export async function reachedRevision(store: Store, revision: string | undefined): Promise<void> {
  if (revision === undefined || store.revision >= Number(revision)) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = store.subscribe(() => {
    if (store.revision >= Number(revision)) resolve();
  });
  const timer = setTimeout(() => reject(behind(store.revision, revision)), patienceMs);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    stop();
  }
}

function behind(own: number, asked: string): SkerryError {
  return new SkerryError("unavailable", `This replica is at revision ${own}, and ${asked} was asked for.`, {
    remedy: "Ask another replica, or again in a moment; a revision of another control plane never comes.",
    facts: { revision: own },
  });
}
