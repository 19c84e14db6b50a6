import type { WantedInstance, WantedNetwork, WantedPeer, WantedState, WantedVolume } from "@skerry/protocol";
import { newId } from "../contract/ids.ts";

let revision = 0;

/** A wanted state with a revision higher than any before. */
export function wish(nodeId: string, parts: Partial<Omit<WantedState, "revision" | "node">> = {}): WantedState {
  revision += 1;
  return {
    revision,
    node: { id: nodeId, name: "node", overlayAddress: "100.64.0.1", overlayPrefixLength: 10 },
    peers: [],
    networks: [],
    volumes: [],
    instances: [],
    ...parts,
  };
}

export function wantedVolume(change: Partial<WantedVolume> = {}): WantedVolume {
  return {
    id: newId("vol"),
    presence: "present",
    epoch: 1,
    sizeMiB: 8,
    origin: { kind: "blank" },
    access: "write",
    ...change,
  };
}

export function wantedInstance(rootVolume: string, change: Partial<WantedInstance> = {}): WantedInstance {
  return {
    id: newId("ins"),
    presence: "present",
    epoch: 1,
    generation: 1,
    name: "web",
    project: "shop",
    power: "running",
    vcpus: 1,
    memoryMiB: 64,
    rootVolume,
    nics: [],
    rebootGeneration: 0,
    sshKeys: [],
    ...change,
  };
}

export function wantedNetwork(change: Partial<WantedNetwork> = {}): WantedNetwork {
  return {
    id: newId("net"),
    presence: "present",
    vni: 100,
    cidr: "10.100.0.0/24",
    gateway: "10.100.0.1",
    egress: false,
    peers: [],
    ...change,
  };
}

export function wantedPeer(nodeId: string, publicKey: string, dataEndpoint: string): WantedPeer {
  return { nodeId, publicKey, dataEndpoint, overlayAddress: "100.64.0.9" };
}
