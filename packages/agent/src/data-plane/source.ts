import type { Readable } from "node:stream";
import type { WantedPeer } from "@skerry/protocol";

/** A volume as its present holder offers it. */
export interface OfferedVolume {
  readonly sizeBytes: number;
  readonly digest: string;
}

/** Volumes on other nodes that were offered to this one. */
export interface VolumeSource {
  /** @throws SkerryError not-found where it is not offered, host-unreachable where the node can't be reached */
  describe(peer: WantedPeer, volumeId: string, ticket: string, signal: AbortSignal): Promise<OfferedVolume>;
  /** The bytes from `offset` on; fails where the offer is no longer the one described. */
  read(
    peer: WantedPeer,
    volumeId: string,
    ticket: string,
    offered: OfferedVolume,
    offset: number,
    signal: AbortSignal,
  ): Promise<Readable>;
}
