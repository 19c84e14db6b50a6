import { statfs } from "node:fs/promises";
import type { ImageCache } from "../images/image-cache.ts";
import type { Journal } from "../journal/journal.ts";
import type { Log } from "../log.ts";
import type { Seen } from "./situation.ts";

export interface HousekeepingDeps {
  readonly journal: Pick<Journal, "wanted" | "volumeIds" | "instanceIds" | "forget">;
  readonly images: Pick<ImageCache, "prune">;
  /** The part of the disk below the agent's data that is free, 0 to 1. */
  readonly freePart: () => Promise<number>;
  readonly nowMs: () => number;
  readonly log: Log;
}

const hourMs = 3_600_000;
/** A record goes after so long without being wanted or here. */
const forgetAfterMs = 24 * hourMs;
/** An image goes after so long without being asked for; where the disk fills up, much sooner. */
const unusedMs = 7 * 24 * hourMs;
const unusedOnFullDiskMs = hourMs;
const scarcePart = 0.1;
const maxPerSweep = 1000;

/**
 * Drops what a node gathers over the years: images that no volume is made from any more, and the journal's records of
 * volumes and instances that went. An epoch guards against orders of an older wish; since the journal takes no wish that is
 * older than its own, the record of what this one does not mention is needed no more. Looks once an hour.
 */
export class Housekeeping {
  readonly #deps: HousekeepingDeps;
  /** Since when each recorded object was neither wanted nor seen; kept in memory, so that a restart only delays. */
  readonly #goneSinceMs = new Map<string, number>();
  #nextMs = 0;
  #pruning: Promise<void> = Promise.resolve();

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
  }

  /** Called with each look at the node; cheap but for once an hour. */
  tidy(seen: Seen): void {
    const { nowMs, log } = this.#deps;
    // What could not be listed may be here.
    if (nowMs() < this.#nextMs || seen.guests === undefined || seen.volumes === undefined) return;
    this.#nextMs = nowMs() + hourMs;
    try {
      this.#forget(seen.volumes, seen.guests);
    } catch (error) {
      log.error({ error }, "the journal could not be tidied");
    }
    this.#pruning = this.#prune().catch((error: unknown) => log.error({ error }, "unused images could not be removed"));
  }

  /** Resolves when what `tidy` began has ended. */
  settled(): Promise<void> {
    return this.#pruning;
  }

  #forget(volumes: ReadonlyMap<string, unknown>, guests: ReadonlyMap<string, unknown>): void {
    const { journal, nowMs, log } = this.#deps;
    const wanted = journal.wanted();
    if (wanted === undefined) return;
    const mentioned = new Set([...wanted.volumes, ...wanted.instances].map(({ id }) => id));
    const isOver = (id: string): boolean => {
      if (mentioned.has(id) || volumes.has(id) || guests.has(id)) {
        this.#goneSinceMs.delete(id);
        return false;
      }
      const sinceMs = this.#goneSinceMs.get(id) ?? nowMs();
      this.#goneSinceMs.set(id, sinceMs);
      return nowMs() - sinceMs >= forgetAfterMs;
    };
    const overVolumes = journal.volumeIds().filter(isOver).slice(0, maxPerSweep);
    const overInstances = journal.instanceIds().filter(isOver).slice(0, maxPerSweep);
    if (overVolumes.length + overInstances.length === 0) return;
    journal.forget(overVolumes, overInstances);
    for (const id of [...overVolumes, ...overInstances]) this.#goneSinceMs.delete(id);
    log.info({ volumes: overVolumes.length, instances: overInstances.length }, "the journal forgot what went long ago");
  }

  async #prune(): Promise<void> {
    const { journal, images, freePart, nowMs, log } = this.#deps;
    const limitMs = (await freePart()) < scarcePart ? unusedOnFullDiskMs : unusedMs;
    const isNeeded = (digest: string): boolean =>
      journal
        .wanted()
        ?.volumes.some(
          ({ presence, origin }) => presence === "present" && origin.kind === "image" && origin.digest === digest,
        ) === true;
    const freedBytes = await images.prune(isNeeded, limitMs, nowMs());
    if (freedBytes > 0) log.info({ freedBytes }, "images that nothing used for long are removed");
  }
}

/** How much of the disk below a folder an unprivileged writer could still take. */
export async function freePartOf(folder: string): Promise<number> {
  const { bavail, blocks } = await statfs(folder);
  return blocks === 0 ? 0 : bavail / blocks;
}
