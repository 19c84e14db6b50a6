import { SkerryError } from "@skerry/model";
import type { OverlayDefinition } from "../../network.ts";

/**
 * Seconds between packets to a silent peer, so that NAT and firewalls on either side keep the way open; each end may be
 * behind one, and neither knows.
 */
const keepaliveSeconds = 25;

/** WireGuard makes a new handshake every two minutes while there is traffic; after this long the peer is out of reach. */
const handshakeStaleSeconds = 180;

interface SeenPeer {
  readonly publicKey: string;
  readonly endpoint: string;
  readonly allowedIps: string;
  /** Seconds since 1970; 0 for never. */
  readonly latestHandshake: number;
  readonly keepalive: string;
}

/** What `wg show DEVICE dump` says. */
export interface SeenOverlay {
  readonly publicKey: string;
  readonly listenPort: number;
  readonly peers: readonly SeenPeer[];
}

/** @throws SkerryError node-driver-failed for a form that is not wg's */
export function readDump(text: string): SeenOverlay {
  const [head = "", ...rest] = text.split("\n").filter((line) => line !== "");
  const [, publicKey, listenPort] = head.split("\t");
  const peers = rest.map((line) => line.split("\t"));
  // The lines hold the private key: they must not come along in an error.
  if (publicKey === undefined || listenPort === undefined || peers.some((fields) => fields.length !== 8)) {
    throw new SkerryError("node-driver-failed", "wg lists the overlay in a form that is not known.");
  }
  return {
    publicKey,
    listenPort: Number(listenPort),
    peers: peers.map(([key = "", , endpoint = "", allowedIps = "", handshake = "", , , keepalive = ""]) => {
      return { publicKey: key, endpoint, allowedIps, latestHandshake: Number(handshake), keepalive };
    }),
  };
}

/**
 * Arguments for `wg set DEVICE`, one list per call, empty where all is as wished. Peers that stay are not touched. A peer's
 * endpoint is set when the peer is new, or differs and was not heard of for a while: WireGuard itself follows a peer that moves.
 * @param keyPath file of the private key @param publicKey of that key
 */
export function planPeers(
  overlay: OverlayDefinition,
  keyPath: string,
  publicKey: string,
  seen: SeenOverlay,
  nowSeconds: number,
): readonly (readonly string[])[] {
  const calls: string[][] = [];
  const device: string[] = [];
  if (seen.publicKey !== publicKey) device.push("private-key", keyPath);
  if (seen.listenPort !== overlay.listenPort) device.push("listen-port", String(overlay.listenPort));
  if (device.length > 0) calls.push(device);
  const others = overlay.peers.filter((peer) => peer.publicKey !== publicKey);
  const wanted = new Map(others.map((peer) => [peer.publicKey, peer]));
  // Before the additions, since an address that another peer takes over must be free.
  for (const peer of seen.peers) if (!wanted.has(peer.publicKey)) calls.push(["peer", peer.publicKey, "remove"]);
  for (const peer of wanted.values()) {
    const found = seen.peers.find((each) => each.publicKey === peer.publicKey);
    const allowedIps = `${peer.address}/32`;
    const args: string[] = [];
    if (found?.allowedIps !== allowedIps) args.push("allowed-ips", allowedIps);
    if (found?.keepalive !== String(keepaliveSeconds)) args.push("persistent-keepalive", String(keepaliveSeconds));
    if (peer.endpoint !== undefined && found?.endpoint !== peer.endpoint) {
      const silent = found === undefined || nowSeconds - found.latestHandshake > handshakeStaleSeconds;
      if (silent) args.push("endpoint", peer.endpoint);
    }
    if (args.length > 0) calls.push(["peer", peer.publicKey, ...args]);
  }
  return calls;
}
