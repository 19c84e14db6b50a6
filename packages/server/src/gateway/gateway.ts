import type { Duplex } from "node:stream";
import type { ObservedState, StreamTarget, WantedChange, WantedState } from "@skerry/protocol";

/** The agents' links, as the rest of the server sees them. */
export interface Gateway {
  isConnected(nodeId: string): boolean;
  /** Sends the node's newest wanted state soon; coalesced; nothing where it is not connected (it gets it at its next hello). */
  push(nodeId: string): void;
  /**
   * A byte stream to something on the node; the agent dials back for it.
   * @throws SkerryError node-disconnected, node-driver-failed
   */
  openStream(nodeId: string, target: StreamTarget, signal: AbortSignal): Promise<Duplex>;
  /** Closes a node's link, for one that was deleted. */
  disconnect(nodeId: string, reason: string): void;
}

/** What the gateway asks of the controllers. */
export interface GatewayDelegate {
  /** Undefined for an unknown node. */
  publicKeyOf(nodeId: string): string | undefined;
  wantedStateOf(nodeId: string): WantedState | undefined;
  /** What has changed of it since a revision that was its own; undefined where only the whole of it would tell. */
  wantedChangeOf(nodeId: string, since: number): WantedChange | undefined;
  connected(nodeId: string): Promise<void>;
  disconnected(nodeId: string): Promise<void>;
  /** Grants the node its leases where it may have them, and gives the revision of the wanted state that they are for. */
  grant(nodeId: string): number | undefined;
  observed(nodeId: string, state: ObservedState): Promise<void>;
}
