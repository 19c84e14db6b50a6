import type { WantedState } from "@skerry/protocol";
import { userOf } from "./situation.ts";
import type { Situation } from "./situation.ts";

/** A volume that one other node may pull now. */
export interface Offer {
  readonly volumeId: string;
  readonly nodeId: string;
  /** Of that node: what its certificate must hold. SPKI DER, base64. */
  readonly publicKey: string;
  readonly ticket: string;
  readonly digest: string;
}

/** The volumes that stand still, whole and digested, as they were ordered to be offered. */
export function offersOf(situation: Situation): Offer[] {
  const { wanted, journal, seen } = situation;
  return wanted.volumes.flatMap((volume) => {
    const record = journal.volume(volume.id);
    const file = seen.volumes?.get(volume.id);
    const { offeredTo } = volume;
    if (volume.presence === "absent" || volume.access !== "offer" || offeredTo === undefined) return [];
    if (volume.epoch < record.epoch || file?.state !== "ready" || record.digest === undefined) return [];
    if (userOf(volume.id, situation) !== undefined) return [];
    const peer = wanted.peers.find((each) => each.nodeId === offeredTo.nodeId);
    if (peer === undefined) return [];
    return [{ volumeId: volume.id, ...offeredTo, publicKey: peer.publicKey, digest: record.digest }];
  });
}

/** Whether a newer wish still offers what was offered. */
export function isStillOffered(offer: Offer, wanted: WantedState): boolean {
  const volume = wanted.volumes.find((each) => each.id === offer.volumeId);
  const peer = wanted.peers.find((each) => each.nodeId === offer.nodeId);
  return (
    volume?.presence === "present" &&
    volume.access === "offer" &&
    volume.offeredTo?.nodeId === offer.nodeId &&
    volume.offeredTo.ticket === offer.ticket &&
    peer?.publicKey === offer.publicKey
  );
}

/** The offers that hold now; a transfer under way is cut when its offer ends. */
export class OfferBook {
  #offers = new Map<string, { readonly offer: Offer; readonly controller: AbortController }>();

  get(volumeId: string): { readonly offer: Offer; readonly signal: AbortSignal } | undefined {
    const entry = this.#offers.get(volumeId);
    return entry === undefined ? undefined : { offer: entry.offer, signal: entry.controller.signal };
  }

  has(volumeId: string): boolean {
    return this.#offers.has(volumeId);
  }

  replace(offers: readonly Offer[]): void {
    const before = this.#offers;
    this.#offers = new Map(
      offers.map((offer) => {
        const entry = before.get(offer.volumeId);
        const same = entry !== undefined && JSON.stringify(entry.offer) === JSON.stringify(offer);
        return [offer.volumeId, same ? entry : { offer, controller: new AbortController() }] as const;
      }),
    );
    for (const [id, entry] of before) {
      if (this.#offers.get(id) !== entry) entry.controller.abort(new Error(`volume ${id} is no longer offered`));
    }
  }

  /** Ends the offers that `keep` does not name. */
  retain(keep: (offer: Offer) => boolean): void {
    this.replace([...this.#offers.values()].map((entry) => entry.offer).filter(keep));
  }
}
