import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { maxMessageBytes } from "@skerry/protocol";
import { emptyWanted, startGateway, type GatewayHarness } from "./gateway-harness.ts";
import { SmallAgent, idleReport, joinAs, makeAgentKey } from "./small-agent.ts";

describe("a wanted state that is larger than agents take", { timeout: 60_000 }, () => {
  let zone: GatewayHarness;
  before(async () => {
    zone = await startGateway();
  });
  after(() => zone[Symbol.asyncDispose]());

  test("does not count as sent: no change follows on it, no lease is granted for it, and the next that fits is sent whole", async () => {
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken("large"), key, "large");
    const large = {
      ...emptyWanted(nodeId, 5),
      node: { ...emptyWanted(nodeId, 5).node, name: "a".repeat(maxMessageBytes) },
    };
    zone.delegate.wanted.set(nodeId, large);
    const change = { since: 5, revision: 6, volumes: [], instances: [], unmentioned: [] };
    zone.delegate.changes.set(nodeId, change);
    const agent = new SmallAgent(zone.access);
    await agent.hello(nodeId, key);
    agent.send({ type: "beat", beat: 1 });
    agent.send({ type: "observed", state: idleReport(0) });
    const deadline = Date.now() + 5000;
    while (zone.delegate.reports.length === 0) {
      assert.ok(Date.now() < deadline, "the report was not recorded in time");
      await new Promise((resolve) => setImmediate(resolve));
    }
    zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, 7));
    agent.send({ type: "beat", beat: 2 });
    const types: string[] = [];
    for (let message = await agent.any(); message.type !== "granted"; message = await agent.any())
      types.push(message.type);
    assert.deepEqual(types, ["wanted"]);
    agent.webSocket.close();
  });
});
