import { after, before, describe, test } from "node:test";
import { surviveKill, victims } from "../killed-move.ts";
import { startZone, type Zone } from "../zone.ts";

describe("a move killed at every step", () => {
  let zone: Zone;
  before(async () => {
    zone = await startZone(24 * 1024 * 1024);
  });
  after(() => zone.close());

  for (const victim of victims) {
    for (const step of ["choose", "stop", "offer", "copy", "switch", "start", "release"]) {
      test(`with its ${victim} killed at ${step}, it ends with one copy, which serves`, () =>
        surviveKill(zone, victim, step));
    }
  }
});
