import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import Fastify, { type FastifyInstance } from "fastify";
import { listen, type Listener } from "../../src/api/listener.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { openAuthority, type Authority } from "../../src/pki/authority.ts";

describe("TLS handshakes in flight", { timeout: 60_000 }, () => {
  let folder: string;
  let authority: Authority;
  let app: FastifyInstance;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-gate-"));
    authority = await openAuthority(join(folder, "pki"), () => Date.now());
    app = Fastify();
    app.get("/", async () => "here");
    await app.ready();
  });
  after(async () => {
    await app.close();
    await rm(folder, { recursive: true });
  });

  async function open(
    maxInFlight: number,
    maxWaiting: number,
    turnMs = 30_000,
    ofOne = { inFlight: maxInFlight, waiting: maxWaiting },
  ): Promise<{ listener: Listener; port: number }> {
    const pair = await authority.serverPair(["127.0.0.1"]);
    const limits = {
      ...{ maxInFlight, turnMs, maxWaiting, maxWaitMs: 30_000 },
      ...{ maxInFlightPerAddress: ofOne.inFlight, maxWaitingPerAddress: ofOne.waiting },
    };
    const listener = await listen(pair, [{ host: "127.0.0.1", port: 0 }], limits);
    listener.serve(servingOf(app));
    return { listener, port: listener.addresses[0]?.port ?? 0 };
  }
  async function ask(port: number, localAddress = "127.0.0.1"): Promise<number | undefined> {
    const call = request({ host: "127.0.0.1", port, localAddress, ca: authority.certificate, path: "/", agent: false });
    call.end();
    const [response] = (await once(call, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    return response.statusCode;
  }
  /** A peer that connects and never begins its handshake. */
  async function silent(port: number): Promise<Socket> {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    return socket;
  }
  const isAnswered = async (answer: Promise<unknown>): Promise<boolean> =>
    Promise.race([answer.then(() => true), new Promise<false>((resolve) => setTimeout(() => resolve(false), 300))]);

  test("are bounded: who comes meanwhile waits its turn, and gets it when one ends or breaks off", async () => {
    const { listener, port } = await open(2, 10);
    const blockers = [await silent(port), await silent(port)];
    const answers = [ask(port), ask(port), ask(port)];
    assert.equal(await isAnswered(Promise.any(answers)), false);
    blockers[0]?.destroy();
    assert.deepEqual(await Promise.all(answers), [200, 200, 200]);
    blockers[1]?.destroy();
    await listener.close(1000);
  });

  test("that find the queue full are hung up on at once, and the others are served", async () => {
    const { listener, port } = await open(1, 1);
    const blocker = await silent(port);
    const waits = ask(port);
    assert.equal(await isAnswered(waits), false);
    await assert.rejects(ask(port), /socket|ECONNRESET|disconnected/);
    blocker.destroy();
    assert.equal(await waits, 200);
    await listener.close(1000);
  });

  test("of peers that stay silent do not hold up the others", async () => {
    const { listener, port } = await open(2, 100, 50);
    const blockers = await Promise.all(Array.from({ length: 6 }, () => silent(port)));
    assert.equal(await ask(port), 200);
    // They may still begin: only their turn is over.
    assert.ok(blockers.every((socket) => !socket.destroyed));
    await listener.close(1000);
  });

  test("of one address leave some for others, and no place in the queue that is theirs", async () => {
    const { listener, port } = await open(3, 4, 30_000, { inFlight: 2, waiting: 2 });
    const blockers = [await silent(port), await silent(port)];
    const waits = [ask(port), ask(port)];
    assert.equal(await isAnswered(Promise.any(waits)), false, "the third is not for this address");
    await assert.rejects(ask(port), /socket|ECONNRESET|disconnected/);
    assert.equal(await ask(port, "127.0.0.2"), 200);
    for (const blocker of blockers) blocker.destroy();
    assert.deepEqual(await Promise.all(waits), [200, 200]);
    await listener.close(1000);
  });

  test("that wait have their turns address by address", async () => {
    const { listener, port } = await open(1, 100);
    const blocker = await silent(port);
    const order: string[] = [];
    const from = (address: string) => ask(port, address).then(() => order.push(address));
    const crowd = Array.from({ length: 20 }, () => from("127.0.0.1"));
    assert.equal(await isAnswered(Promise.any(crowd)), false);
    const other = from("127.0.0.2");
    assert.equal(await isAnswered(other), false);
    blocker.destroy();
    await Promise.all([...crowd, other]);
    assert.ok(order.indexOf("127.0.0.2") < 10, order.join(" "));
    await listener.close(1000);
  });

  test("that wait do not keep the listener from closing", async () => {
    const { listener, port } = await open(1, 10);
    const blocker = await silent(port);
    const waits = assert.rejects(ask(port));
    assert.equal(await isAnswered(waits), false);
    await listener.close(50);
    await waits;
    blocker.destroy();
  });

  test("by the hundred at once all come through", async () => {
    const { listener, port } = await open(4, 1000);
    const statuses = await Promise.all(Array.from({ length: 200 }, () => ask(port)));
    assert.ok(statuses.every((status) => status === 200));
    await listener.close(1000);
  });
});
