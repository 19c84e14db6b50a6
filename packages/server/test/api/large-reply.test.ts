import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import Fastify from "fastify";
import { replyBuffer, sendJson } from "../../src/api/large-reply.ts";

test("a large reply is its reader's own until it was read, however slowly, and those of others are too", async (t) => {
  const app = Fastify();
  app.get("/:letter", (request, reply) => {
    const { letter } = request.params as { letter: string };
    return sendJson(reply, replyBuffer(4_000_000).fill(letter));
  });
  t.after(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const ask = async (letter: string): Promise<IncomingMessage> => {
    const [response] = (await once(get({ host: "127.0.0.1", port, path: `/${letter}` }), "response")) as [
      IncomingMessage,
    ];
    return response;
  };
  const check = async (response: IncomingMessage, letter: string): Promise<void> => {
    assert.equal(response.headers["content-length"], "4000000");
    assert.ok((await buffer(response)).equals(Buffer.alloc(4_000_000, letter)), letter);
  };
  const slow = await ask("a");
  for (const letter of ["b", "c"]) await check(await ask(letter), letter);
  const lost = await ask("d");
  lost.destroy();
  await check(await ask("e"), "e");
  await check(slow, "a");
});
