import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JoinTokenResource } from "@skerry/model";
import { TokenCleaning } from "../../src/controllers/token-cleaning.ts";
import { draft } from "../api/api-harness.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

describe("tokens that are over", () => {
  test("are removed a day later, each hour and at the start; those that can be used or have no end stay", async () => {
    const clock = new ManualClock();
    const startMs = clock.nowMs();
    const at = (ms: number): string => new Date(startMs + ms).toISOString();
    await using scratch = await openScratchStore(() => clock.nowMs());
    const { store } = scratch;
    const join = (name: string, status: JoinTokenResource["status"]) =>
      draft("JoinToken", { name }, { site: "s1" }, status, startMs);
    const access = (name: string, expiresAt?: string) =>
      draft("ApiToken", { name }, { role: "viewer" }, expiresAt === undefined ? {} : { expiresAt }, startMs);
    await store.transact((tx) => {
      tx.put(join("long-expired", { expiresAt: at(-dayMs - 1) }));
      tx.put(join("long-used", { expiresAt: at(hourMs), usedAt: at(-dayMs - 1), usedBy: "n1" }));
      tx.put(join("just-expired", { expiresAt: at(-hourMs / 2) }));
      tx.put(join("just-used", { expiresAt: at(2 * dayMs), usedAt: at(-1), usedBy: "n2" }));
      tx.put(join("odd", { expiresAt: "2026-99-99T00:00:00Z" }));
      tx.put(access("old", at(-dayMs - 1)));
      tx.put(access("ends-later", at(hourMs)));
      tx.put(access("for-ever"));
    });
    const left = (): string[] =>
      [...store.list("JoinToken"), ...store.list("ApiToken")].map(({ metadata }) => metadata.name).toSorted();

    const swept: number[] = [];
    let told = Promise.withResolvers<void>();
    const cleaning = new TokenCleaning({
      store,
      clock,
      log: {
        info: (facts) => {
          swept.push(Number(Reflect.get(facts, "count")));
          told.resolve();
        },
        warn: () => undefined,
        error: (facts) => told.reject(Reflect.get(facts, "error") as Error),
      },
    });
    cleaning.start();
    await told.promise;
    assert.deepEqual(left(), ["ends-later", "for-ever", "just-expired", "just-used", "odd"]);

    told = Promise.withResolvers();
    // A sweep sets its next timer when it has ended.
    const oneMore = async (ms: number): Promise<void> => {
      while (clock.nextAtMs() === undefined) await new Promise((resolve) => setImmediate(resolve));
      clock.moveTo(clock.nowMs() + ms);
    };
    for (let hour = 0; hour < 24; hour += 1) await oneMore(hourMs);
    await told.promise;
    assert.deepEqual(left(), ["ends-later", "for-ever", "odd"]);
    await cleaning.stop();
    assert.equal(clock.nextAtMs(), undefined);
    assert.deepEqual(swept, [3, 2]);
  });
});
