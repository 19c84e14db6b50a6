import type { ObservedState } from "@skerry/protocol";
import type { WakeSource } from "./wake.ts";

/** What steps see of nodes, owners or not. */
export interface NodeSight {
  /** The node's last report; undefined where it has not reported since the server started. */
  report(nodeId: string): ObservedState | undefined;
  /**
   * Whether that report was made in knowledge of all that was wanted of the node at `revision`: it then shows the outcome,
   * and no action of an older wish can follow.
   */
  answers(nodeId: string, revision: number): boolean;
  readonly onChange: WakeSource;
}
