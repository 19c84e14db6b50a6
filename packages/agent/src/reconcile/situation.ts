import type { WantedInstance, WantedState, WantedVolume } from "@skerry/protocol";
import type { Guest } from "../drivers/compute.ts";
import type { NetworkState } from "../drivers/network.ts";
import type { VolumeFile } from "../drivers/volume.ts";
import type { LeaseView } from "../leases/lease-keeper.ts";
import type { JournalView } from "../journal/journal.ts";

/** What the drivers last listed, by id; undefined where a driver could not say. */
export interface Seen {
  readonly guests: ReadonlyMap<string, Guest> | undefined;
  readonly volumes: ReadonlyMap<string, VolumeFile> | undefined;
  readonly networks: ReadonlyMap<string, NetworkState> | undefined;
}

/** What the running agent remembers; losing it costs a repeated action, never a wrong one. */
export interface Memory {
  /** Wishes as last applied. */
  readonly appliedOverlay: string | undefined;
  readonly appliedNetworks: ReadonlyMap<string, string>;
  /** Starts of guests that did not stay up for long. */
  readonly starts: ReadonlyMap<string, { readonly count: number; readonly lastMs: number }>;
}

export interface Settings {
  /** How long a guest has to shut down where the wish does not say. */
  readonly stopGraceMs: number;
  readonly overlayListenPort: number;
}

/** Everything a plan is made from; an immutable moment. */
export interface Situation {
  readonly wanted: WantedState;
  readonly seen: Seen;
  readonly journal: JournalView;
  readonly memory: Memory;
  readonly settings: Settings;
  readonly leases: LeaseView;
  readonly nowMs: number;
}

/** A guest that stayed up for this long has not failed by starting. */
export const settledMs = 60_000;

export function isRunning(guest: Guest | undefined): boolean {
  return guest !== undefined && (guest.state === "running" || guest.state === "stopping");
}

/** Start times of one run may differ a little between readings: hypervisors derive them from clock ticks. */
export function isSameRun(oneMs: number, otherMs: number): boolean {
  return Math.abs(oneMs - otherMs) < 3000;
}

/** The guest that has a volume open, or may have: `unknown` where the hypervisor could not be asked. */
export function userOf(volumeId: string, situation: Situation): string | undefined {
  const { seen, wanted, journal } = situation;
  if (seen.guests === undefined) return "unknown";
  for (const guest of seen.guests.values()) {
    if (!isRunning(guest)) continue;
    const mentioned = wanted.instances.find((instance) => instance.id === guest.id);
    if (mentioned?.rootVolume === volumeId || journal.instance(guest.id).rootVolume === volumeId) return guest.id;
  }
  return undefined;
}

/**
 * Whether the file here is another copy than the one wanted: the order is to import, and what is here was not made by that
 * import. The ticket tells; where the journal was lost, an equal epoch is taken for the same copy.
 */
export function isOtherCopy(wanted: WantedVolume, situation: Situation): boolean {
  const file = situation.seen.volumes?.get(wanted.id);
  if (wanted.origin.kind !== "import" || file?.state !== "ready") return false;
  const { ticket } = situation.journal.volume(wanted.id);
  return ticket !== wanted.origin.ticket && !(ticket === undefined && file.epoch === wanted.epoch);
}

export function wantedVolumeOf(instance: WantedInstance, wanted: WantedState): WantedVolume | undefined {
  return wanted.volumes.find((volume) => volume.id === instance.rootVolume);
}
