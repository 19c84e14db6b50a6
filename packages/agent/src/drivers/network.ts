/** This node's place in the encrypted overlay and whom it may talk to there. */
export interface OverlayDefinition {
  readonly address: string;
  readonly prefixLength: number;
  readonly listenPort: number;
  readonly peers: readonly {
    readonly nodeId: string;
    readonly publicKey: string;
    readonly endpoint?: string;
    readonly address: string;
  }[];
}

export interface NetworkDefinition {
  readonly id: string;
  readonly vni: number;
  readonly cidr: string;
  readonly gateway: string;
  readonly egress: boolean;
  /** Overlay addresses of the other nodes that carry it. */
  readonly remotes: readonly string[];
}

export interface NetworkState {
  readonly id: string;
  readonly bridge: string;
  /** Largest packet a guest may send: the WAN's 1500 less WireGuard's and VXLAN's headers. */
  readonly mtu: number;
}

/**
 * Networks on this node: a bridge each, joined across nodes inside an encrypted overlay. Every call is a whole wish and may
 * be repeated; running guests' interfaces are never torn out by it. All drivers pass `networkDriverContract`.
 */
export interface NetworkDriver {
  readonly name: "linux" | "simulated";
  /** The overlay's public key, made at first use and kept; base64. */
  publicKey(signal: AbortSignal): Promise<string>;
  ensureOverlay(overlay: OverlayDefinition, signal: AbortSignal): Promise<void>;
  ensureNetwork(network: NetworkDefinition, signal: AbortSignal): Promise<NetworkState>;
  list(signal: AbortSignal): Promise<readonly NetworkState[]>;
  removeNetwork(id: string, signal: AbortSignal): Promise<void>;
}
