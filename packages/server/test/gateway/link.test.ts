import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { SkerryError } from "@skerry/model";
import { changeVersion, linkPath, maxMessageBytes, type WantedInstance } from "@skerry/protocol";
import { ManualClock } from "../fakes/manual-clock.ts";
import { emptyWanted, heartbeatMs, startGateway, type GatewayHarness } from "./gateway-harness.ts";
import { SmallAgent, idleReport, joinAs, makeAgentKey, type AgentKey } from "./small-agent.ts";

interface Enrolled {
  readonly nodeId: string;
  readonly key: AgentKey;
}

const anInstance: WantedInstance = {
  id: `ins_${"a".repeat(26)}`,
  presence: "present",
  epoch: 1,
  generation: 1,
  name: "web",
  project: "shop",
  power: "running",
  vcpus: 1,
  memoryMiB: 64,
  rootVolume: `vol_${"a".repeat(26)}`,
  nics: [],
  rebootGeneration: 0,
  sshKeys: [],
};

/** Polls what only another part of this process changes. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not happen in time");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("links", { timeout: 60_000 }, () => {
  let zone: GatewayHarness;
  let tokens = 0;
  before(async () => {
    zone = await startGateway();
  });
  after(() => zone[Symbol.asyncDispose]());

  async function enrol(name: string): Promise<Enrolled> {
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken(`token-${(tokens += 1)}`), key, name);
    return { nodeId, key };
  }
  async function linked(name: string): Promise<Enrolled & { readonly agent: SmallAgent }> {
    const enrolled = await enrol(name);
    const agent = new SmallAgent(zone.access);
    await agent.hello(enrolled.nodeId, enrolled.key);
    return { ...enrolled, agent };
  }

  test("an agent that signs the challenge is welcomed and gets its wanted state, now and with each change", async () => {
    const { nodeId, key } = await enrol("n1");
    zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, 7));
    const agent = new SmallAgent(zone.access);
    await agent.hello(nodeId, key);
    assert.equal((await agent.next("wanted")).state.revision, 7);
    assert.ok(zone.gateway.isConnected(nodeId));
    assert.ok(zone.delegate.told.includes(`connected ${nodeId}`));

    for (const revision of [8, 9, 10]) {
      zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, revision));
      zone.gateway.push(nodeId);
    }
    assert.equal((await agent.next("wanted")).state.revision, 10, "changes close together come as one");
    agent.webSocket.close();
    await until(() => zone.delegate.told.includes(`disconnected ${nodeId}`));
    assert.ok(!zone.gateway.isConnected(nodeId));
  });

  test("a beat is answered with the newest wanted state's revision, after that state", async () => {
    const { nodeId, agent } = await linked("beats");
    zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, 21));
    agent.send({ type: "beat", beat: 4 });
    assert.equal((await agent.next("wanted")).state.revision, 21);
    assert.deepEqual(await agent.next("granted"), { type: "granted", beat: 4, wantedRevision: 21 });
    agent.webSocket.close();
  });

  test("what changes after the first wanted state is sent as a change, to an agent of the version before as a whole", async () => {
    const { nodeId, key } = await enrol("changes");
    for (const version of [changeVersion - 1, changeVersion]) {
      zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, 5));
      const agent = new SmallAgent(zone.access);
      await agent.hello(nodeId, key, { protocolVersion: version });
      assert.equal((await agent.next("wanted")).state.revision, 5);
      const change = { since: 5, revision: 6, volumes: [], instances: [anInstance], unmentioned: [] };
      zone.delegate.wanted.set(nodeId, { ...emptyWanted(nodeId, 6), instances: [anInstance] });
      zone.delegate.changes.set(nodeId, change);
      zone.gateway.push(nodeId);
      if (version === changeVersion) assert.deepEqual((await agent.next("wanted-change")).change, change);
      else assert.deepEqual((await agent.next("wanted")).state.instances, [anInstance]);
      // What is known only as a whole comes as one.
      zone.delegate.changes.delete(nodeId);
      zone.delegate.wanted.set(nodeId, emptyWanted(nodeId, 7));
      zone.gateway.push(nodeId);
      assert.equal((await agent.next("wanted")).state.revision, 7);
      agent.webSocket.close();
    }
  });

  test("a wrong key, an unknown node and a signature over another challenge are refused for good", async () => {
    const { nodeId, key } = await enrol("n2");
    const wrongKey = new SmallAgent(zone.access);
    const refusedKey = wrongKey.next("refused");
    await assert.rejects(Promise.all([wrongKey.hello(nodeId, makeAgentKey()), refusedKey]));
    for (const [id, signer, changes] of [
      [nodeId, makeAgentKey(), {}],
      ["nod_00000000000000000000000000", key, {}],
      [nodeId, key, { signature: "AAAA" }],
      [nodeId, key, { protocolVersion: 9 }],
    ] as const) {
      const agent = new SmallAgent(zone.access);
      const closed = agent.closed();
      await assert.rejects(agent.hello(id, signer, changes), /closed before a welcome/);
      assert.equal((await closed).code, 1008);
      assert.ok(!zone.gateway.isConnected(nodeId));
    }
  });

  test("a newer link replaces the older, whose session ends, and the node stays connected", async () => {
    const first = await linked("n3");
    const closed = first.agent.closed();
    const second = new SmallAgent(zone.access);
    await second.hello(first.nodeId, first.key);
    assert.match((await closed).reason, /newer link/);
    assert.ok(zone.gateway.isConnected(first.nodeId));
    assert.ok(!zone.delegate.told.includes(`disconnected ${first.nodeId}`));
    assert.equal((await first.agent.fetchImage("sha256:x")).status, 401);
    assert.equal((await second.fetchImage("sha256:x")).status, 404);
    zone.gateway.disconnect(first.nodeId, "the node was deleted");
    assert.match((await second.closed()).reason, /deleted/);
  });

  test("the log says who ended each link, and why", async () => {
    const ends = (nodeId: string): unknown[] =>
      zone.api.logged.filter(
        (entry) => Reflect.get(Object(entry), "nodeId") === nodeId && "closeCode" in Object(entry),
      );
    const ended = async (nodeId: string, endedBy: string, closeCode: number, reason: RegExp): Promise<void> => {
      await until(() => ends(nodeId).length > 0);
      const [{ message, ...facts }] = ends(nodeId) as [Record<string, unknown>];
      assert.equal(message, "an agent's link has ended");
      assert.deepEqual([facts["endedBy"], facts["closeCode"]], [endedBy, closeCode]);
      assert.match(String(facts["reason"]), reason);
      assert.equal(typeof facts["upMs"], "number");
      assert.equal(ends(nodeId).length, 1);
    };
    const leaves = await linked("leaves");
    leaves.agent.webSocket.close(1000, "the agent stops");
    await ended(leaves.nodeId, "agent", 1000, /^the agent stops$/);
    const lost = await linked("lost");
    lost.agent.webSocket.terminate();
    await ended(lost.nodeId, "network", 1006, /lost/);
    const older = await linked("older");
    await new SmallAgent(zone.access).hello(older.nodeId, older.key);
    await ended(older.nodeId, "server", 1000, /newer link/);
    const babbles = await linked("babbles");
    babbles.agent.webSocket.send("{");
    await ended(babbles.nodeId, "server", 1008, /not a message/);
    const huge = await linked("huge");
    huge.agent.webSocket.send(" ".repeat(maxMessageBytes + 1));
    await ended(huge.nodeId, "server", 1006, /^protocol error: Max payload/);
  });

  test("one bad message ends its own link and no other", async () => {
    const good = await linked("n4");
    const bad: (string | Buffer)[] = [
      "{",
      '{"type":"observed"}',
      '{"type":"pong","extra":1}',
      Buffer.from([1, 2, 3]),
      '{"type":"pong"'.padEnd(maxMessageBytes + 1, " "),
    ];
    for (const [index, message] of bad.entries()) {
      const { agent } = await linked(`bad-${index}`);
      const closed = agent.closed();
      agent.webSocket.send(message);
      assert.ok([1008, 1009].includes((await closed).code), `message ${index}`);
    }
    const { length } = zone.delegate.reports;
    good.agent.send({ type: "observed", state: idleReport(3) });
    await until(() => zone.delegate.reports.length > length);
    assert.equal(zone.delegate.reports.at(-1)?.wantedRevision, 3);
    good.agent.webSocket.close();
  });

  test("anything but a hello ends a link whose agent is not known", async () => {
    const agent = new SmallAgent(zone.access);
    await agent.next("challenge");
    agent.send({ type: "observed", state: idleReport(1) });
    assert.equal((await agent.closed()).code, 1008);
  });

  test("while a report is recorded the newest that comes meanwhile waits, and no other", async () => {
    const { agent } = await linked("n5");
    const gate = Promise.withResolvers<void>();
    zone.delegate.holdReports = gate.promise;
    const { length } = zone.delegate.reports;
    for (const revision of [1, 2, 3, 4, 5]) agent.send({ type: "observed", state: idleReport(revision) });
    // Links are read in order: what answers a later message has read the earlier ones.
    agent.webSocket.ping();
    await once(agent.webSocket, "pong");
    gate.resolve();
    await until(() => zone.delegate.reports.length === length + 2);
    assert.deepEqual(
      zone.delegate.reports.slice(length).map((report) => report.wantedRevision),
      [1, 5],
    );
    agent.webSocket.close();
  });

  test("a report that can't be recorded ends the link, so that the agent comes back with a whole one", async () => {
    const { agent } = await linked("n6");
    const failure = Promise.reject(new Error("the disk is gone"));
    failure.catch(() => undefined);
    zone.delegate.holdReports = failure;
    agent.send({ type: "observed", state: idleReport(1) });
    assert.equal((await agent.closed()).code, 1013);
    zone.delegate.holdReports = Promise.resolve();
  });
});

describe("with a clock that is moved by hand", { timeout: 60_000 }, () => {
  test("an agent that falls silent is cut off, one that answers is kept", async () => {
    const clock = new ManualClock(Date.now());
    await using zone = await startGateway(clock);
    const enrol = async (name: string): Promise<Enrolled & { readonly agent: SmallAgent }> => {
      const key = makeAgentKey();
      const { nodeId } = await joinAs(zone.access, await zone.joinToken(name), key, name);
      const agent = new SmallAgent(zone.access);
      await agent.hello(nodeId, key);
      return { nodeId, key, agent };
    };
    const silent = await enrol("silent");
    const lively = await enrol("lively");
    const cut = silent.agent.closed();
    for (let beat = 0; beat < 8; beat++) {
      clock.moveTo(clock.nowMs() + heartbeatMs);
      await lively.agent.next("ping");
      lively.agent.send({ type: "pong" });
      // What answers a later frame has read the pong.
      lively.agent.webSocket.ping();
      await once(lively.agent.webSocket, "pong");
    }
    assert.equal((await cut).code, 1006);
    await until(() => !zone.gateway.isConnected(silent.nodeId));
    assert.ok(zone.gateway.isConnected(lively.nodeId));
  });

  test("a wall clock that is set on or back cuts no link, and hides no silence", async () => {
    const dayMs = 86_400_000;
    const clock = new ManualClock(Date.now());
    await using zone = await startGateway(clock);
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken("t1"), key, "n1");
    const agent = new SmallAgent(zone.access);
    await agent.hello(nodeId, key);
    for (const jumpMs of [dayMs, -2 * dayMs]) {
      clock.jump(jumpMs);
      clock.moveTo(clock.monotonicMs() + heartbeatMs);
      await agent.next("ping");
      agent.send({ type: "pong" });
      agent.webSocket.ping();
      await once(agent.webSocket, "pong");
      assert.ok(zone.gateway.isConnected(nodeId));
    }
    const cut = agent.closed();
    clock.jump(-dayMs);
    for (let beat = 0; beat < 5; beat++) clock.moveTo(clock.monotonicMs() + heartbeatMs);
    assert.equal((await cut).code, 1006);
  });

  test("a link without a hello is closed after five seconds", async () => {
    const clock = new ManualClock(Date.now());
    await using zone = await startGateway(clock);
    const agent = new SmallAgent(zone.access);
    await agent.next("challenge");
    clock.moveTo(clock.nowMs() + 4999);
    assert.equal(agent.webSocket.readyState, WebSocket.OPEN);
    const closed = agent.closed();
    clock.moveTo(clock.nowMs() + 1);
    assert.equal((await closed).code, 1008);
  });

  test("an agent that does not dial back in ten seconds is not waited for", async () => {
    const clock = new ManualClock(Date.now());
    await using zone = await startGateway(clock);
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken("t1"), key, "n1");
    const agent = new SmallAgent(zone.access);
    await agent.hello(nodeId, key);
    const target = { kind: "console", instanceId: "ins_00000000000000000000000000" } as const;
    const opening = zone.gateway.openStream(nodeId, target, new AbortController().signal);
    await agent.next("open-stream");
    clock.moveTo(clock.nowMs() + 10_000);
    await assert.rejects(opening, (error) => error instanceof SkerryError && error.code === "deadline-exceeded");
  });

  test("no more links than the limit may wait for their hello", async () => {
    await using zone = await startGateway(new ManualClock(Date.now()), { maxUnproven: 4 });
    const open: SmallAgent[] = [];
    for (let count = 0; count < 4; count++) {
      const agent = new SmallAgent(zone.access);
      await agent.challenged();
      open.push(agent);
    }
    const late = new WebSocket(`wss://127.0.0.1:${zone.access.port}${linkPath}`, { ca: zone.access.authority });
    const [, response] = (await once(late, "unexpected-response")) as [unknown, IncomingMessage];
    assert.equal(response.statusCode, 429);
    response.destroy();
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken("t1"), key, "n1");
    await open[0]?.hello(nodeId, key);
    await new SmallAgent(zone.access).challenged();
  });
});
