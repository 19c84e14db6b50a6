import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { seed } from "@skerry/testkit/seed";
import { makePair, surviveParting, type Pair } from "../real-lease.ts";
import { playTroubles } from "../real-lease-play.ts";
import { watchWriters, type WriterWatch } from "../real-writers.ts";
import { startRealZone, type RealZone } from "../real-zone.ts";

const seeds = Number(process.env["SKERRY_TEST_RUNS"] ?? 5);

describe("a QEMU guest that may be replaced", () => {
  let zone: RealZone;
  let watch: WriterWatch;
  let pair: Pair;
  before(async () => {
    zone = await startRealZone();
    watch = watchWriters(zone);
    pair = await makePair(zone);
  });
  after(async () => {
    await watch[Symbol.asyncDispose]();
    await zone.close();
  });

  test("is killed by the guard where nothing reaches its node and the agent there has died", async (context) => {
    let mend: () => Promise<void>;
    let revive: () => Promise<void>;
    const times = await surviveParting(zone, watch, pair, {
      part: async (owner) => {
        mend = await zone.cutOff(owner);
        revive = await zone.leaveAgentDead(owner);
      },
      meanwhile: async (owner, id) => {
        const said = await zone.inHost(owner, "journalctl", "--unit=skerry-lease-guard", "--output=cat");
        assert.match(said, new RegExp(`the lease of ${id} is over: killed \\d+`));
      },
      reunite: async () => {
        await mend();
        await revive();
      },
    });
    context.diagnostic(JSON.stringify(times));
  });

  test("is ended by its host, which stood still for longer than the lease, within a second of going on", async (context) => {
    const times = await surviveParting(zone, watch, pair, {
      part: (owner) => watch.freeze(owner),
      reunite: (owner) => watch.thaw(owner),
    });
    const woken = watch.history.find(({ resumedMs }) => resumedMs !== undefined);
    context.diagnostic(JSON.stringify({ ...times, woken }));
  });

  for (let run = 0; run < seeds; run += 1)
    test(`never writes at two places, and what is kept runs on, whatever happens when (seed ${seed + run})`, async (context) => {
      await playTroubles(zone, watch, pair, seed + run, (line) => context.diagnostic(line));
    });
});
