import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IdempotentAnswers, type IdempotentRequest } from "../../src/api/idempotency.ts";
import type { Reply } from "../../src/api/route.ts";

const request = (key: string): IdempotentRequest => ({ tokenId: "t", key, method: "POST", url: "/x", body: {} });
const done = (): Promise<Reply> => Promise.resolve({ status: 200 });

describe("answers to requests with an Idempotency-Key", () => {
  test("one that is under way is waited for, however many are asked for meanwhile", async () => {
    const answers = new IdempotentAnswers();
    const slow = Promise.withResolvers<Reply>();
    let started = 0;
    const ask = (): Promise<Reply> =>
      answers.once(request("slow"), 0, () => {
        started++;
        return slow.promise;
      });
    const first = ask();
    for (let other = 0; other < 10_002; other++) await answers.once(request(`other-${other}`), 0, done);
    const second = ask();
    slow.resolve({ status: 202 });
    assert.deepEqual([await first, await second, started], [{ status: 202 }, { status: 202 }, 1]);
  });

  test("an answer is remembered until 10,000 newer ones or an hour have come, a failure not at all", async () => {
    const answers = new IdempotentAnswers();
    let started = 0;
    const ask = (nowMs: number): Promise<Reply> =>
      answers.once(request("own"), nowMs, () => {
        started++;
        return done();
      });
    await assert.rejects(answers.once(request("own"), 0, () => Promise.reject(new Error("no"))));
    await ask(0);
    for (let other = 0; other < 9_999; other++) await answers.once(request(`other-${other}`), 0, done);
    await ask(3_599_999);
    assert.equal(started, 1);
    await ask(3_600_000);
    assert.equal(started, 2);
    for (let other = 0; other < 10_001; other++) await answers.once(request(`later-${other}`), 3_600_000, done);
    await ask(3_600_000);
    assert.equal(started, 3);
  });
});
