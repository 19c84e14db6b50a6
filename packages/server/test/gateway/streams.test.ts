import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { WebSocket, createWebSocketStream } from "ws";
import { SkerryError } from "@skerry/model";
import type { StreamTarget } from "@skerry/protocol";
import { draft, specs } from "../api/api-harness.ts";
import { emptyWanted, startGateway, type GatewayHarness } from "./gateway-harness.ts";
import { SmallAgent, joinAs, makeAgentKey } from "./small-agent.ts";

const target: StreamTarget = { kind: "console", instanceId: "ins_00000000000000000000000000" };
const forever = new AbortController().signal;

describe("streams to nodes", { timeout: 60_000 }, () => {
  let zone: GatewayHarness;
  let agent: SmallAgent;
  let nodeId: string;
  before(async () => {
    zone = await startGateway();
    const key = makeAgentKey();
    ({ nodeId } = await joinAs(zone.access, await zone.joinToken("t1"), key, "n1"));
    agent = new SmallAgent(zone.access);
    await agent.hello(nodeId, key);
  });
  after(() => zone[Symbol.asyncDispose]());

  async function secondAgent(name: string): Promise<{ readonly agent: SmallAgent; readonly nodeId: string }> {
    const key = makeAgentKey();
    const joined = await joinAs(zone.access, await zone.joinToken(`for-${name}`), key, name);
    const other = new SmallAgent(zone.access);
    await other.hello(joined.nodeId, key);
    return { agent: other, nodeId: joined.nodeId };
  }
  const isCode = (code: string) => (error: unknown) => error instanceof SkerryError && error.code === code;

  test("the agent dials back and bytes flow both ways, whole and in order", async () => {
    const opening = zone.gateway.openStream(nodeId, target, forever);
    const order = await agent.next("open-stream");
    assert.deepEqual(order.target, target);
    const far = await agent.dial(order.streamId);
    const near = await opening;
    const sent = randomBytes(5 * 1024 * 1024);
    near.end(sent);
    const received: Buffer[] = [];
    for await (const chunk of far as AsyncIterable<Buffer>) received.push(chunk);
    assert.ok(Buffer.concat(received).equals(sent));
  });

  test("a reader that stops reading stops the writer", async () => {
    const opening = zone.gateway.openStream(nodeId, target, forever);
    const far = await agent.dial((await agent.next("open-stream")).streamId);
    const near = await opening;
    far.pause();
    const chunk = randomBytes(256 * 1024);
    let written = 0;
    while (near.write(chunk)) written += chunk.length;
    assert.ok(near.writableNeedDrain && written < 64 * 1024 * 1024, `${written} bytes were taken`);
    far.resume();
    await once(near, "drain");
    near.destroy();
  });

  test("a stream is opened once, by its node's session only", async () => {
    const other = await secondAgent("n2");
    const opening = zone.gateway.openStream(nodeId, target, forever);
    const { streamId } = await agent.next("open-stream");
    await assert.rejects(other.agent.dial(streamId), /404/);
    await assert.rejects(agent.dial(streamId, "made-up"), /401/);
    const far = await agent.dial(streamId);
    (await opening).destroy();
    await assert.rejects(agent.dial(streamId), /404/);
    far.destroy();
  });

  test("what the node can't open fails with its words, and only its own node can say so", async () => {
    const other = await secondAgent("n3");
    const opening = zone.gateway.openStream(nodeId, target, forever);
    const { streamId } = await agent.next("open-stream");
    other.agent.send({ type: "stream-failed", streamId, detail: "lies" });
    agent.send({ type: "stream-failed", streamId, detail: "the guest does not run" });
    await assert.rejects(
      opening,
      (error: Error) => isCode("node-driver-failed")(error) && /does not run/.test(error.message),
    );
  });

  test("a node that is not connected, or goes while it is asked, fails as disconnected", async () => {
    await assert.rejects(
      zone.gateway.openStream("nod_00000000000000000000000000", target, forever),
      isCode("node-disconnected"),
    );
    const other = await secondAgent("n4");
    const opening = zone.gateway.openStream(other.nodeId, target, forever);
    await other.agent.next("open-stream");
    other.agent.webSocket.terminate();
    await assert.rejects(opening, isCode("node-disconnected"));
  });

  test("who no longer wants the stream is not waited for", async () => {
    const stop = new AbortController();
    const opening = zone.gateway.openStream(nodeId, target, stop.signal);
    const { streamId } = await agent.next("open-stream");
    stop.abort(new Error("changed my mind"));
    await assert.rejects(opening, /changed my mind/);
    await assert.rejects(agent.dial(streamId), /404/);
  });

  test("a node that was deleted loses its open streams", async () => {
    const other = await secondAgent("n5");
    const opening = zone.gateway.openStream(other.nodeId, target, forever);
    const far = await other.agent.dial((await other.agent.next("open-stream")).streamId);
    await opening;
    zone.gateway.disconnect(other.nodeId, "the node was deleted");
    far.resume();
    await once(far, "end");
  });

  describe("from a client's WebSocket", () => {
    const url = (path: string): string => `wss://127.0.0.1:${zone.access.port}/api/v1/projects/ours/instances/${path}`;
    const open = (path: string, token: string, protocols: string[] = []): WebSocket =>
      new WebSocket(url(path), protocols, {
        ca: zone.access.authority,
        ...(token === "" ? {} : { headers: { authorization: `Bearer ${token}` } }),
      });
    let operator: string;

    before(async () => {
      const assignment = { node: "n1", nodeId, epoch: 1, since: new Date(0).toISOString(), reason: "test" };
      const status = { state: "running", health: "unknown", addresses: [], conditions: [] } as const;
      await zone.api.store.transact((tx) => {
        tx.put(draft("Project", { name: "ours" }, specs.Project, {}));
        tx.put({
          ...draft("Instance", { name: "web", project: "ours" }, specs.Instance, {
            ...status,
            addresses: [],
            conditions: [],
          }),
          assignment,
        });
        tx.put(
          draft("Instance", { name: "nowhere", project: "ours" }, specs.Instance, {
            ...status,
            addresses: [],
            conditions: [],
          }),
        );
      });
      operator = await zone.api.token("operator", "operator", "ours");
    });

    async function refusal(socket: WebSocket): Promise<{ readonly status: number; readonly code: unknown }> {
      const [, response] = (await once(socket, "unexpected-response")) as [
        unknown,
        import("node:http").IncomingMessage,
      ];
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      return {
        status: response.statusCode ?? 0,
        code: (JSON.parse(Buffer.concat(chunks).toString()) as { code?: unknown }).code,
      };
    }

    test("console, port and log reach the agent with their target, and bytes pass", async () => {
      for (const [path, kind] of [
        ["web/console", "console"],
        ["web/ports/8080", "port"],
        ["web/console-log?follow=true", "console-log"],
      ] as const) {
        const socket = open(path, operator);
        const order = await agent.next("open-stream");
        assert.equal(order.target.kind, kind);
        const far = await agent.dial(order.streamId);
        await once(socket, "open");
        const client = createWebSocketStream(socket);
        client.write("hello");
        assert.equal(String((await once(far, "data"))[0]), "hello");
        far.end("bye");
        assert.equal(String((await once(client, "data"))[0]), "bye");
        client.on("error", () => undefined);
        client.resume();
        await once(client, "end");
      }
    });

    test("a browser may bring its token as a protocol", async () => {
      const socket = open("web/console", "", ["skerry.v1", `bearer.${operator}`]);
      const far = await agent.dial((await agent.next("open-stream")).streamId);
      await once(socket, "open");
      assert.equal(socket.protocol, "skerry.v1");
      const gone = once(far, "end");
      far.resume();
      socket.close();
      await gone;
    });

    test("the guards answer before anything is opened", async () => {
      const viewer = await zone.api.token("viewer", "viewer", "ours");
      const foreigner = await zone.api.token("foreigner", "admin", "theirs");
      assert.deepEqual(await refusal(open("web/console", "")), { status: 401, code: "unauthenticated" });
      assert.deepEqual(await refusal(open("web/console", viewer)), { status: 403, code: "forbidden" });
      assert.deepEqual(await refusal(open("web/console", foreigner)), { status: 404, code: "not-found" });
      assert.deepEqual(await refusal(open("gone/console", operator)), { status: 404, code: "not-found" });
      assert.deepEqual(await refusal(open("nowhere/console", operator)), { status: 409, code: "conflict" });
      assert.deepEqual(await refusal(open("web/ports/99999", operator)), { status: 400, code: "invalid-request" });
      assert.equal((await zone.api.ask(operator, "GET", "/api/v1/projects/ours/instances/web/console")).status, 400);
      assert.equal((await zone.api.ask(operator, "GET", "/api/v1/projects/ours/instances/gone/console")).status, 404);
    });

    test("what the node refuses is told by the code and reason of the close", async () => {
      for (const [detail, expected] of [
        ["the guest does not run", "node-driver-failed: the guest does not run"],
        ["ü".repeat(300), /^node-driver-failed: ü{51}$/],
      ] as const) {
        const socket = open("web/console", operator);
        const { streamId } = await agent.next("open-stream");
        agent.send({ type: "stream-failed", streamId, detail });
        const [code, reason] = (await once(socket, "close")) as [number, Buffer];
        assert.equal(code, 4000);
        assert.match(reason.toString(), expected instanceof RegExp ? expected : new RegExp(`^${expected}$`));
      }
    });

    test("a stream ends with the token that opened it", async () => {
      const passing = await zone.api.token("passing", "operator", "ours");
      const socket = open("web/console", passing);
      const far = await agent.dial((await agent.next("open-stream")).streamId);
      await once(socket, "open");
      const gone = once(socket, "close");
      const token = zone.api.store.get("ApiToken", { name: "passing" });
      await zone.api.store.transact((tx) => tx.delete("ApiToken", token?.metadata.id ?? ""));
      await gone;
      far.resume();
      await once(far, "end");
    });
  });

  test("a node gets the images that it is to fill volumes from, whole or from an offset, and no others", async () => {
    const content = randomBytes(300_000);
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    const spec = { ...specs.Image, digest, sizeBytes: content.length };
    await zone.api.ask(zone.api.admin, "PUT", "/api/v1/projects/ours/images/tiny", { spec });
    const upload = await zone.api.ask(zone.api.admin, "PUT", "/api/v1/projects/ours/images/tiny/content", content, {
      "content-type": "application/octet-stream",
    });
    assert.equal(upload.status, 200, upload.text);

    assert.equal((await agent.fetchImage(digest)).status, 404, "the node needs it for nothing");
    const volume = {
      id: "vol_00000000000000000000000000",
      presence: "present",
      epoch: 1,
      sizeMiB: 8,
      origin: { kind: "image", digest, sizeBytes: content.length, format: "qcow2" },
      access: "write",
    } as const;
    zone.delegate.wanted.set(nodeId, { ...emptyWanted(nodeId, 1), volumes: [volume] });
    const whole = await agent.fetchImage(digest);
    assert.ok(whole.status === 200 && whole.body.equals(content));
    const rest = await agent.fetchImage(digest, "bytes=250000-");
    assert.equal(rest.status, 206);
    assert.equal(rest.headers["content-range"], `bytes 250000-299999/300000`);
    assert.ok(rest.body.equals(content.subarray(250_000)));
    assert.equal((await agent.fetchImage(digest, "bytes=300000-")).status, 400);
    assert.equal((await agent.fetchImage(digest, "bytes=0-1,5-6")).status, 400);
    assert.equal((await agent.fetchImage("sha256:..%2f..%2fsealing.key")).status, 404);
  });
});
