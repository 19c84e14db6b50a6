import type { WantedInstance, WantedNic, WantedVolume } from "@skerry/protocol";
import type { NetworkDefinition, OverlayDefinition } from "../drivers/network.ts";

/** What an action is about: `overlay`, or a kind and an id. One action at a time per object. */
export type ObjectKey = "overlay" | `network:${string}` | `volume:${string}` | `instance:${string}`;

/** One step that brings one object nearer to what is wanted; each is safe to repeat after a crash anywhere in it. */
export type Action =
  | { readonly kind: "ensure-overlay"; readonly overlay: OverlayDefinition; readonly wish: string }
  | { readonly kind: "ensure-network"; readonly network: NetworkDefinition; readonly wish: string }
  | { readonly kind: "remove-network"; readonly id: string }
  | { readonly kind: "create-volume"; readonly volume: WantedVolume }
  /** `replaces`: another, older copy is in the way and goes once the source has answered. */
  | { readonly kind: "import-volume"; readonly volume: WantedVolume; readonly replaces: boolean }
  /** Journals that the file is whole. */
  | { readonly kind: "adopt-volume"; readonly id: string }
  | { readonly kind: "raise-volume-epoch"; readonly id: string; readonly epoch: number }
  | { readonly kind: "grow-volume"; readonly id: string; readonly sizeMiB: number }
  | { readonly kind: "digest-volume"; readonly id: string }
  | { readonly kind: "remove-volume"; readonly id: string }
  | {
      readonly kind: "define-instance";
      readonly instance: WantedInstance;
      readonly nics: readonly PluggedNic[];
      readonly definition: string;
    }
  /** Journals that the guest as it is answers to this epoch and generation. */
  | { readonly kind: "adopt-instance"; readonly id: string; readonly epoch: number; readonly generation: number }
  | { readonly kind: "start-instance"; readonly id: string; readonly rootVolume: string }
  | {
      readonly kind: "shut-instance-down";
      readonly id: string;
      readonly purpose: "stop" | "reboot";
      readonly startedAtMs: number;
    }
  | { readonly kind: "kill-instance"; readonly id: string }
  /** Journals that the stop that was begun is no longer wanted. */
  | { readonly kind: "forget-stop"; readonly id: string }
  /** Journals that the reboot was done. */
  | { readonly kind: "finish-reboot"; readonly id: string; readonly rebootGeneration: number }
  | { readonly kind: "remove-instance"; readonly id: string };

/** A wanted interface with what the node's network gave it. */
export interface PluggedNic extends WantedNic {
  readonly bridge: string;
  readonly mtu: number;
}

/** An action with its object; before `notBeforeMs` (since 1970) it is not to be done. */
export interface PlannedAction {
  readonly object: ObjectKey;
  /** Other objects that must be left alone meanwhile. */
  readonly alsoHolds: readonly ObjectKey[];
  readonly action: Action;
  readonly notBeforeMs?: number;
}

/** Actions that may take minutes; they have a lane of their own, and end when their object's wish changes. */
export function isSlow(action: Action): boolean {
  return action.kind === "create-volume" || action.kind === "import-volume" || action.kind === "digest-volume";
}

export function volumeKey(id: string): ObjectKey {
  return `volume:${id}`;
}

export function instanceKey(id: string): ObjectKey {
  return `instance:${id}`;
}

export function networkKey(id: string): ObjectKey {
  return `network:${id}`;
}
