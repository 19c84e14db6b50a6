import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { joinPath } from "@skerry/protocol";
import { FailureLimit, addressSource } from "../../src/authorisation/failure-limit.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { startApi } from "./api-harness.ts";

const madeUp = (id: string): string => `skt1.atk_${id.padEnd(26, "0")}.${"a".repeat(43)}`;

describe("failed attempts", () => {
  test("beyond a burst are answered 429 with the time to wait, and what is valid passes all the while", async () => {
    const clock = new ManualClock(Date.now());
    await using harness = await startApi(() => ({ failures: new FailureLimit(clock, 3, 2000) }));
    const attempt = (id: string) => harness.ask(madeUp(id), "GET", "/api/v1/projects");
    for (let count = 0; count < 3; count += 1) assert.equal((await attempt(`${count}`)).status, 401);
    const refused = await attempt("3");
    assert.equal(refused.status, 429);
    assert.equal(refused.headers["retry-after"], "2");
    assert.match(String(refused.headers["content-type"]), /^application\/problem\+json/);
    assert.deepEqual([refused.at("code"), typeof refused.at("remedy")], ["too-many-requests", "string"]);
    assert.equal((await harness.ask(undefined, "GET", "/nothing/here")).status, 429, "whatever the path");
    assert.equal((await harness.ask(harness.admin, "GET", "/api/v1/projects")).status, 200);
    clock.moveTo(clock.nowMs() + 2000);
    assert.equal((await attempt("4")).status, 401);
    assert.equal((await attempt("5")).status, 429);
  });

  test("to join count as well, by the address and by the token", async () => {
    const { makeAgentGateway } = await import("../../src/gateway/agent-gateway.ts");
    const failures = new FailureLimit(new ManualClock(), 2, 2000);
    await using harness = await startApi((base) => {
      const delegate = {
        publicKeyOf: () => undefined,
        wantedStateOf: () => undefined,
        wantedChangeOf: () => undefined,
        connected: async () => undefined,
        disconnected: async () => undefined,
        grant: () => undefined,
        observed: async () => undefined,
      };
      const gateway = makeAgentGateway({ ...base, failures, delegate, heartbeatMs: 1000 });
      return { failures, gateway, agentRoutes: gateway.routes };
    });
    const join = () => harness.ask(undefined, "POST", joinPath, { token: "skj1.nothing" });
    assert.equal((await join()).status, 400);
    assert.equal((await join()).status, 400);
    assert.equal((await join()).status, 429);
  });

  test("of one token count together, from whatever address they come, and only the newest sources are remembered", () => {
    const clock = new ManualClock();
    const limit = new FailureLimit(clock, 2, 1000);
    const failure = new SkerryError("unauthenticated", "wrong");
    assert.equal(limit.weigh(failure, ["a1", "token"]), failure);
    assert.equal(limit.weigh(failure, ["a2", "token"]), failure);
    assert.notEqual(limit.weigh(failure, ["a3", "token"]), failure);
    assert.equal(limit.weigh(failure, ["a3", undefined]), failure);
    for (let index = 0; index < 10_000; index += 1) limit.weigh(failure, [`b${index}`]);
    assert.equal(limit.weigh(failure, ["token"]), failure, "it was forgotten");
  });

  test("of one IPv6 network count together, of IPv4 each address by itself", () => {
    assert.equal(addressSource("2001:db8:1:2:3:4:5:6"), addressSource("2001:db8:1:2::1"));
    assert.notEqual(addressSource("2001:db8:1:2::1"), addressSource("2001:db8:1:3::1"));
    assert.equal(addressSource("::1"), "network 0:0:0:0");
    assert.equal(addressSource("::ffff:192.0.2.7"), addressSource("192.0.2.7"));
    assert.notEqual(addressSource("192.0.2.7"), addressSource("192.0.2.8"));
  });
});
