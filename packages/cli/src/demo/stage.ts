import type { Progress } from "../output/progress.ts";
import type { DemoControlPlane } from "./control-plane.ts";
import type { DemoProvider } from "./continuum.ts";
import type { Narrator } from "./narrator.ts";

/** Where the demo plays: on real hosts of a testbed, or on simulated ones. */
export interface Stage {
  readonly simulated: boolean;
  /** Builds what must be there before a control plane: hosts, images. Gives the address it should listen on. */
  build(
    narrator: Narrator,
    providers: readonly DemoProvider[],
    signal: AbortSignal,
  ): Promise<{ readonly address: string }>;
  readonly imageFile: () => string;
  /** The provider's spec: how its hosts are reached. */
  providerSpec(entry: DemoProvider): Promise<Record<string, unknown>>;
  /** Turns the n-th provider's host into a node; resolves when it is connected. */
  addNode(
    control: DemoControlPlane,
    entry: DemoProvider,
    index: number,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void>;
  /** Ends and removes everything that `build` and `addNode` made. */
  strike(narrator: Narrator): Promise<void>;
}
