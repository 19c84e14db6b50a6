import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { surviveParting, makePair, type Pair } from "../real-lease.ts";
import { watchWriters, type WriterWatch } from "../real-writers.ts";
import { startRealZone, type RealZone } from "../real-zone.ts";

/* Real hosts and guests, and a lease of 30 s. Hosts that stand still, and seeds of trouble, follow nightly. */
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

  test("is ended by its node, which nothing reaches any more, before another starts it; what is kept runs on", async (context) => {
    let mend: () => Promise<void>;
    const times = await surviveParting(zone, watch, pair, {
      part: async (owner) => {
        mend = await zone.cutOff(owner);
      },
      reunite: () => mend(),
    });
    context.diagnostic(JSON.stringify(times));
  });

  test("is killed by the guard where the agent died in the meantime", async (context) => {
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
});
