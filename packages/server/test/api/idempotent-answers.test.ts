import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IdempotentAnswers, type Answer, type IdempotentRequest } from "../../src/api/idempotency.ts";
import type { Reply } from "../../src/api/route.ts";

const may = (): void => undefined;
const answered = (status: number): Answer => ({ reply: { status }, kind: "Site", key: { name: "s" }, place: {} });

const request = (key: string): IdempotentRequest => ({ tokenId: "t", key, method: "POST", url: "/x", body: {} });
const done = (): Promise<Answer> => Promise.resolve(answered(200));

describe("answers to requests with an Idempotency-Key", () => {
  test("one that is under way is waited for, however many are asked for meanwhile", async () => {
    const answers = new IdempotentAnswers();
    const slow = Promise.withResolvers<Answer>();
    let started = 0;
    const ask = (): Promise<Reply> =>
      answers.once(request("slow"), 0, may, () => {
        started++;
        return slow.promise;
      });
    const first = ask();
    for (let other = 0; other < 10_002; other++) await answers.once(request(`other-${other}`), 0, may, done);
    const second = ask();
    slow.resolve(answered(202));
    assert.deepEqual([await first, await second, started], [{ status: 202 }, { status: 202 }, 1]);
  });

  test("an answer is remembered until 10,000 newer ones or an hour have come, a failure not at all", async () => {
    const answers = new IdempotentAnswers();
    let started = 0;
    const ask = (nowMs: number): Promise<Reply> =>
      answers.once(request("own"), nowMs, may, () => {
        started++;
        return done();
      });
    await assert.rejects(answers.once(request("own"), 0, may, () => Promise.reject(new Error("no"))));
    await ask(0);
    for (let other = 0; other < 9_999; other++) await answers.once(request(`other-${other}`), 0, may, done);
    await ask(3_599_999);
    assert.equal(started, 1);
    await ask(3_600_000);
    assert.equal(started, 2);
    for (let other = 0; other < 10_001; other++) await answers.once(request(`later-${other}`), 3_600_000, may, done);
    await ask(3_600_000);
    assert.equal(started, 3);
  });

  test("is given once more to whoever may still have it, and to nobody else, under way or not", async () => {
    const answers = new IdempotentAnswers();
    const slow = Promise.withResolvers<Answer>();
    const not = ({ kind }: Answer): never => assert.fail(`no ${kind} for you`);
    const first = answers.once(request("own"), 0, not, () => slow.promise);
    const second = assert.rejects(answers.once(request("own"), 0, not, done), /no Site/);
    slow.resolve(answered(201));
    assert.equal((await first).status, 201);
    await second;
    await assert.rejects(answers.once(request("own"), 0, not, done), /no Site/);
    assert.equal((await answers.once(request("own"), 0, may, done)).status, 201);
  });
});
