import type { NodeIdentity } from "./enrol.ts";
import type { LinkCounters } from "./node-link.ts";
import type { NodePlan } from "./plan.ts";

/** What a process that holds a share of the nodes is told. */
export type FleetOrder =
  | { readonly type: "serve"; readonly server: string; readonly authority: string }
  /** Nodes with their identities, or with the tokens to join with. */
  | { readonly type: "nodes"; readonly nodes: readonly NodeStart[] }
  | { readonly type: "close" };

export interface NodeStart {
  readonly plan: NodePlan;
  readonly start: { readonly identity: NodeIdentity } | { readonly token: string };
}

/** What it tells: each second, and of each node that joined. */
export type FleetNews =
  | { readonly type: "joined"; readonly name: string; readonly identity: NodeIdentity }
  | { readonly type: "failed"; readonly name: string; readonly message: string }
  | {
      readonly type: "counts";
      readonly counts: Readonly<LinkCounters>;
      readonly residentBytes: number;
      readonly cpuMs: number;
    };
