import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { draft, specs, type ApiHarness } from "./api-harness.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { useTlsApi, type TlsApi } from "./tls-suite.ts";

const projects = ["red", "green", "blue"];
const watchersEach = 12;
const changes = 600;

/** Reads ids of changes from a stream; every fourth reader stops reading now and then, for longer than its buffers last. */
async function readIds(response: IncomingMessage, last: number, isSlow: boolean): Promise<number[]> {
  const ids: number[] = [];
  let rest = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    rest += chunk;
    const frames = rest.split("\n\n");
    rest = frames.pop() ?? "";
    for (const frame of frames) {
      const id = /^id: (\d+)\nevent: change$/m.exec(frame)?.[1];
      if (id !== undefined) ids.push(Number(id));
    }
    if ((ids.at(-1) ?? 0) >= last) break;
    if (isSlow) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return ids;
}

describe("many watchers", { timeout: 120_000 }, () => {
  let api: ApiHarness;
  let watchAll: TlsApi["watch"];
  let listener: TlsApi["listener"];
  useTlsApi((tls) => ({ api, listener, watch: watchAll } = tls), projects);
  const watch = (token: string): Promise<IncomingMessage> => watchAll(token, `?since=${api.store.revision}`);

  test("each see every change of their project once and in order, fast or slow, while others are written", async () => {
    const watchers: { readonly project: string | undefined; readonly response: IncomingMessage }[] = [];
    for (const project of projects) {
      const token = await api.token(`watch-${project}`, "viewer", project);
      for (let count = 0; count < watchersEach; count++) watchers.push({ project, response: await watch(token) });
    }
    for (let count = 0; count < 4; count++) watchers.push({ project: undefined, response: await watch(api.admin) });

    const start = api.store.revision;
    const last = start + changes + projects.length;
    const reads = watchers.map(({ response }, index) => readIds(response, last - projects.length, index % 4 === 0));
    const written = new Map<string, number[]>(projects.map((project) => [project, []]));
    const all: number[] = [];
    const write = async (project: string, name: string): Promise<void> => {
      // Large, so that a reader who pauses is soon behind.
      const status = { state: "failed" as const, error: "x".repeat(8000), conditions: [] };
      const { changes: events } = await api.store.transact((tx) =>
        tx.put(draft("Volume", { project, name }, specs.Volume, status)),
      );
      for (const { revision } of events) {
        written.get(project)?.push(revision);
        all.push(revision);
      }
    };
    for (let serial = 0; serial < changes; serial += 10) {
      const group = Array.from({ length: 10 }, (_, at) => serial + at);
      await Promise.all(group.map((at) => write(projects[(at * 7) % 3] ?? "", `v${at}`)));
    }
    // One more in each, so that every reader has a change at which it may stop.
    for (const project of projects) await write(project, "last");

    for (const [index, ids] of (await Promise.all(reads)).entries()) {
      const { project } = watchers[index] ?? {};
      const expected = project === undefined ? all : (written.get(project) ?? []);
      assert.deepEqual(
        ids,
        expected.filter((id) => id <= (ids.at(-1) ?? 0)),
        `watcher ${index} of ${project}`,
      );
      assert.ok(ids.length >= changes / projects.length, `watcher ${index} saw ${ids.length}`);
    }
  });

  test("that take nothing cost no more than a little memory, and see every change once they read again", async () => {
    const serving = servingOf(api.api.app);
    const replies: ServerResponse[] = [];
    listener.serve({
      ...serving,
      request(incoming, response) {
        replies.push(response);
        serving.request(incoming, response);
      },
    });
    const response = await watch(api.admin);
    const [reply] = replies;
    const start = api.store.revision;
    let most = 0;
    // 30 MB: more than the systems of both ends keep for a connection.
    for (let serial = 0; serial < 480; serial++) {
      const status = { state: "failed" as const, error: "x".repeat(64 * 1024), conditions: [] };
      await api.store.transact((tx) =>
        tx.put(draft("Volume", { project: "red", name: `w${serial}` }, specs.Volume, status)),
      );
      most = Math.max(most, reply?.socket?.writableLength ?? Infinity);
    }
    assert.ok(most > 0 && most < 512 * 1024, `the server held ${most} bytes for one reader`);
    assert.deepEqual(
      await readIds(response, api.store.revision, false),
      Array.from({ length: api.store.revision - start }, (_, index) => start + 1 + index),
    );
  });
});
