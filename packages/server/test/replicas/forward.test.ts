import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, request, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { mkdtemp } from "node:fs/promises";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { openAuthority } from "../../src/pki/authority.ts";
import { makeForward } from "../../src/replicas/forward.ts";

/** Stands for a leader whose process is stopped: its kernel takes connections, and nobody ever answers on them. */
async function startPausedLeader(): Promise<{ readonly server: Server; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, sockets };
}

describe("what a follower passes on", { timeout: 60_000 }, () => {
  let leader: Awaited<ReturnType<typeof startPausedLeader>>;
  let follower: ReturnType<typeof createHttpServer>;
  let forward: ReturnType<typeof makeForward>;
  let leads = true;

  const portOf = (server: { address(): AddressInfo | string | null }): number => (server.address() as AddressInfo).port;
  const ask = async (headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const asked = request({ host: "127.0.0.1", port: portOf(follower), method: "POST", path: "/api/v1/x", headers });
    asked.end("{}");
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    return answer;
  };
  const detailOf = async (answer: IncomingMessage): Promise<string> =>
    (JSON.parse(await text(answer)) as { detail: string }).detail;

  before(async () => {
    leader = await startPausedLeader();
    const url = `https://127.0.0.1:${portOf(leader.server)}`;
    forward = makeForward({ leaderUrl: () => (leads ? url : undefined), authority: "", connectMs: 200 });
    follower = createHttpServer((incoming, response) => forward.request(incoming, response));
    follower.on("upgrade", (incoming, socket, head) => forward.upgrade(incoming, socket, head));
    follower.listen(0, "127.0.0.1");
    await once(follower, "listening");
  });
  after(() => {
    forward.close();
    for (const socket of leader.sockets) socket.destroy();
    leader.server.close();
    follower.close();
  });

  test("is answered soon where the leader takes the connection and then says nothing", async () => {
    const answer = await ask();
    assert.equal(answer.statusCode, 503);
    assert.match(await detailOf(answer), /leads can't be reached/);
  });

  test("is answered so where it asks to become a WebSocket", async () => {
    const answer = await ask({ connection: "Upgrade", upgrade: "websocket" });
    assert.equal(answer.statusCode, 503);
    assert.match(await detailOf(answer), /leads can't be reached/);
  });

  test("is answered where the leader stops on a connection of old, as soon as it leads no more", async () => {
    const authority = await openAuthority(await mkdtemp(join(tmpdir(), "skerry-forward-")), Date.now);
    const asked: string[] = [];
    let passedOnFor: unknown;
    // Answers the first request and is paused at the second.
    const { key, certificate: cert } = await authority.serverPair([]);
    const old = createHttpsServer({ key, cert }, (incoming, response) => {
      asked.push(incoming.url ?? "");
      passedOnFor = incoming.headers["x-skerry-forwarded"];
      if (asked.length === 1) response.end("{}");
    });
    old.listen(0, "127.0.0.1");
    await once(old, "listening");
    const oldUrl = `https://127.0.0.1:${portOf(old)}`;
    let leader: string | undefined = oldUrl;
    const passing = makeForward({ leaderUrl: () => leader, authority: authority.certificate, connectMs: 2000 });
    const between = createHttpServer((incoming, response) => passing.request(incoming, response));
    between.listen(0, "127.0.0.1");
    await once(between, "listening");
    const get = async (): Promise<IncomingMessage> => {
      const sent = request({ host: "127.0.0.1", port: portOf(between), path: "/api/v1/x" }).end();
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      return answer;
    };
    try {
      assert.equal(await text(await get()), "{}");
      assert.equal(passedOnFor, "127.0.0.1", "the leader is told for which address");
      const reached = once(old, "request");
      const second = get();
      await reached;
      assert.equal(asked.length, 2);
      leader = undefined;
      const answer = await second;
      assert.equal(answer.statusCode, 503);
      assert.match(await detailOf(answer), /isn't known whether it did this/);
    } finally {
      passing.close();
      between.close();
      old.closeAllConnections();
      old.close();
    }
  });

  test("goes no further where it was passed on before, or nobody leads", async () => {
    const circling = await ask({ "x-skerry-forwarded": "1" });
    assert.deepEqual([circling.statusCode, circling.headers["retry-after"]], [503, "1"]);
    assert.match(await detailOf(circling), /No replica leads/);
    leads = false;
    assert.match(await detailOf(await ask()), /No replica leads/);
    leads = true;
  });
});
