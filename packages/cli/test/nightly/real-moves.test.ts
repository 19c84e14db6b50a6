import { after, before, describe, test } from "node:test";
import type { ResourceKey } from "@skerry/sdk";
import { makeMover, surviveTrouble, troubles } from "../real-move.ts";
import { obstacles, surviveObstacle } from "../real-rollback.ts";
import { islet, startRealZone, type RealZone } from "../real-zone.ts";

/** Longer than an agent waits for a source that has gone silent. */
const cutMs = { drop: 20_000, reset: 3000 } as const;

describe("a move of a QEMU guest between provisioned hosts, with trouble", () => {
  let zone: RealZone;
  let mover: ResourceKey;
  before(async () => {
    zone = await startRealZone();
    // With a lease, so that none must be left behind either.
    mover = await makeMover(zone, "mover", { ...islet, onDisconnect: { replaceAfterSeconds: 3600 } });
  });
  after(() => zone.close());

  for (const trouble of troubles) {
    for (const step of ["copy", "switch", "release"]) {
      test(`(${trouble}) at its step ${step}, ends with one guest, which has its data`, async (context) => {
        const from = performance.now();
        const cut = trouble === "drop" || trouble === "reset" ? { cutMs: cutMs[trouble] } : {};
        const { state, problem, result } = await surviveTrouble(zone, mover, { trouble, step, ...cut });
        context.diagnostic(
          `${state} ${problem ?? ""} ${Math.round(performance.now() - from)} ms ${JSON.stringify(result)}`,
        );
      });
    }
  }

  for (const obstacle of obstacles)
    test(`is taken back wholly where the target can't have it (${obstacle})`, async (context) => {
      const from = performance.now();
      const why = await surviveObstacle(zone, mover, obstacle);
      context.diagnostic(`${Math.round(performance.now() - from)} ms: ${why}`);
    });
});
