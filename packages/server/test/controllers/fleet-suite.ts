import { after, beforeEach } from "node:test";
import type { Store } from "@skerry/store";
import { empty, useScratchStore } from "../fakes/scratch-store.ts";
import { ModelFleet } from "./model-fleet.ts";
import { seedZone } from "./zone-fixture.ts";

/** What a suite's tests work with; new for each of them, but for the store. */
export interface FleetSuite {
  readonly store: Store;
  readonly fleet: ModelFleet;
}

/** Gives each test of a suite an empty store and a fleet whose server `begin` starts. */
export function useFleet(take: (suite: FleetSuite) => void, begin: (suite: FleetSuite) => Promise<void>): void {
  let store: Store;
  let fleet: ModelFleet | undefined;
  after(() => fleet?.killServer());
  useScratchStore((opened) => (store = opened));
  beforeEach(async () => {
    fleet?.killServer();
    await empty(store);
    fleet = new ModelFleet(store);
    const suite = { store, fleet };
    take(suite);
    await begin(suite);
  });
}

/** The small zone with so many nodes, all of them linked and at rest. */
export function calmZone(count = 3): (suite: FleetSuite) => Promise<void> {
  return async ({ store, fleet }) => {
    await fleet.startServer();
    await seedZone(store, fleet.controllers.intents, fleet.clock.nowMs(), count);
    fleet.addNodes();
    await fleet.calm();
  };
}
