import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, toProblem } from "@skerry/model";
import { createClient } from "../src/create-client.ts";
import type { FetchInit } from "../src/transport.ts";

const tooMany = (seconds?: number): Response =>
  new Response(JSON.stringify(toProblem(new SkerryError("too-many-requests", "Too often."))), {
    status: 429,
    headers: seconds === undefined ? {} : { "retry-after": String(seconds) },
  });
const done = (): Response => Response.json({ resource: { metadata: { revision: 7 } } });

function clientOf(answers: Response[]) {
  const asked: FetchInit[] = [];
  const waited: number[] = [];
  const client = createClient({
    server: "https://host",
    token: "t",
    fetch: async (_url, init) => {
      asked.push(init);
      return answers.shift() ?? assert.fail("it asked once too often");
    },
    openSocket: () => assert.fail("no socket"),
    wait: async (ms, signal) => {
      signal?.throwIfAborted();
      waited.push(ms);
    },
  });
  return { client, asked, waited };
}

describe("a call that is refused because there were too many", () => {
  test("is made again, as it was, when the server says, and never all at the same moment", async () => {
    const { client, asked, waited } = clientOf([tooMany(2), tooMany(1), done()]);
    await client.put("Organisation", { name: "acme" }, { spec: {} }, { idempotencyKey: "k" });
    assert.equal(asked.length, 3);
    assert.deepEqual(asked[2], asked[0]);
    const [first = 0, second = 0] = waited;
    assert.ok(first >= 2000 && first <= 3000, `${first}`);
    assert.ok(second >= 1000 && second <= 1500, `${second}`);
    const spread = new Set<number>();
    for (let count = 0; count < 5; count++) {
      const other = clientOf([tooMany(2), done()]);
      await other.client.delete("Organisation", { name: "acme" });
      spread.add(other.waited[0] ?? 0);
    }
    assert.ok(spread.size > 1, "all of them waited alike");
  });

  test("is given up with the server's own error where it would take too long, or where no time was said", async () => {
    for (const answers of [[tooMany(61)], [tooMany()], Array.from({ length: 60 }, () => tooMany(15))]) {
      const { client, waited } = clientOf(answers);
      await assert.rejects(client.get("Organisation", { name: "acme" }), { code: "too-many-requests" });
      assert.ok(waited.reduce((sum, ms) => sum + ms, 0) <= 60_000);
    }
  });

  test("ends with its signal while it waits", async () => {
    const stop = new AbortController();
    const fetch = async (): Promise<Response> => {
      setImmediate(() => stop.abort(new Error("stopped")));
      return tooMany(30);
    };
    const openSocket = () => assert.fail("no socket");
    const client = createClient({ server: "https://host", token: "t", fetch, openSocket });
    await assert.rejects(client.get("Organisation", { name: "acme" }, stop.signal), /stopped/);
  });
});
