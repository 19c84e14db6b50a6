import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError, toProblem } from "@skerry/model";
import "@skerry/testkit/seed";
import { parseFrames } from "../src/event-stream.ts";
import { Transport, type FetchInit } from "../src/transport.ts";
import { createClient } from "../src/create-client.ts";

function cut(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close();
      const size = sizes[turn++ % sizes.length] ?? 1;
      controller.enqueue(bytes.subarray(at, at + size));
      at += size;
    },
  });
}

describe("event stream", () => {
  test("gives the same events however the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: "grapheme" }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (names, sizes) => {
          const sent = names.map((name, index) => ({ revision: index + 1, type: "created", object: { name } }));
          const text = sent
            .map((event) => `: comment\n\nid: ${event.revision}\nevent: change\ndata: ${JSON.stringify(event)}\n\n`)
            .join("");
          const received = await Array.fromAsync(parseFrames(cut(new TextEncoder().encode(text), sizes)));
          assert.deepEqual(
            received,
            sent.map((data) => ({ event: "change", data })),
          );
        },
      ),
    );
  });

  test("a heartbeat moves it on, and a problem ends it with the server's own error", async () => {
    const asked: string[] = [];
    const answers = [
      'event: heartbeat\ndata: {"revision":7}\n\n',
      `event: problem\ndata: ${JSON.stringify(toProblem(new SkerryError("unauthenticated", "The token expired.")))}\n\n`,
    ];
    const fetch = async (url: string) => {
      asked.push(new URL(url).searchParams.get("since") ?? "");
      return new Response(answers.shift() ?? "");
    };
    const client = createClient({
      server: "https://host",
      token: "t",
      fetch,
      openSocket: () => assert.fail("no socket"),
    });
    const seen = Array.fromAsync(client.watch(3, new AbortController().signal));
    await assert.rejects(seen, (error: unknown) => error instanceof SkerryError && error.code === "unauthenticated");
    assert.deepEqual(asked, ["3", "7"]);
  });

  test("comes back after a break at the last revision seen, and gives every change once", async () => {
    const asked: string[] = [];
    const answers = [[1, 2], [3], [4, 5]];
    const fetch = async (url: string) => {
      asked.push(new URL(url).searchParams.get("since") ?? "");
      const text = (answers.shift() ?? [])
        .map((revision) => `event: change\ndata: ${JSON.stringify({ revision })}\n\n`)
        .join("");
      return new Response(text);
    };
    const client = createClient({
      server: "https://host",
      token: "t",
      fetch,
      openSocket: () => assert.fail("no socket"),
    });
    const end = new AbortController();
    const seen: number[] = [];
    for await (const event of client.watch(0, end.signal)) {
      seen.push(event.revision);
      if (event.revision === 5) end.abort();
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    assert.deepEqual(asked, ["0", "2", "3"]);
  });
});

describe("transport", () => {
  const transportOf = (answer: () => Response | Promise<Response>, seen: FetchInit[] = []) =>
    new Transport({
      server: "https://host",
      token: "secret",
      fetch: async (_url, init) => {
        seen.push(init);
        return answer();
      },
    });

  test("throws the very problem that the server answered", async () => {
    const problem = toProblem(new SkerryError("in-use", "It is used.", { remedy: "Free it." }));
    const transport = transportOf(() => new Response(JSON.stringify(problem), { status: problem.status }));
    await assert.rejects(
      transport.json({ method: "GET", path: "/" }),
      (error: unknown) => error instanceof SkerryError && error.code === "in-use" && error.remedy === "Free it.",
    );
  });

  test("says `unavailable` where nothing, or something else than Skerry, answers", async () => {
    const unavailable = (error: unknown): boolean => error instanceof SkerryError && error.code === "unavailable";
    await assert.rejects(
      transportOf(() => Promise.reject(new TypeError("fetch failed"))).json({ method: "GET", path: "/" }),
      unavailable,
    );
    await assert.rejects(
      transportOf(() => new Response("<html>", { status: 502 })).json({ method: "GET", path: "/" }),
      unavailable,
    );
  });

  test("sends the token as a header and nowhere else", async () => {
    const seen: FetchInit[] = [];
    await transportOf(() => new Response("{}"), seen).json({ method: "PUT", path: "/x", body: { a: 1 } });
    assert.equal(seen[0]?.headers["authorization"], "Bearer secret");
    assert.ok(!JSON.stringify(seen[0]?.body).includes("secret"));
  });
});
