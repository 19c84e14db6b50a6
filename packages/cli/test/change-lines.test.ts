import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { KindName, ResourceOf } from "@skerry/model";
import type { WatchEvent } from "@skerry/sdk";
import { ChangeLines } from "../src/output/change-lines.ts";
import type { Terminal } from "../src/output/terminal.ts";

const nowMs = new Date(2026, 2, 4, 12, 0, 0).getTime();

function linesOn(stream: object = {}): (type: WatchEvent["type"], object: object) => string {
  const out = Object.assign(new PassThrough(), stream);
  const lines = new ChangeLines({ out, err: out, live: false } as unknown as Terminal);
  return (type, object) =>
    stripVTControlCharacters(lines.line({ revision: 1, type, object: object as ResourceOf<KindName> }, nowMs) ?? "");
}

function instance(status: object, metadata: object = {}, seconds = 7): object {
  const updatedAt = new Date(2026, 2, 4, 11, 5, seconds).toISOString();
  return {
    kind: "Instance",
    metadata: { id: "ins_1", name: "first", project: "web", labels: {}, updatedAt, createdAt: updatedAt, ...metadata },
    spec: { vcpus: 1, memoryMiB: 512 },
    assignment: { node: "cadiz-1" },
    status: { state: "pending", health: "unknown", addresses: [], conditions: [], ...status },
  };
}

describe("events for people", () => {
  test("say when, of what, and what is new since the line before", () => {
    const line = linesOn();
    assert.equal(
      line("created", instance({})),
      "11:05:07  created  Instance web/first  state pending, health unknown, node cadiz-1, vcpus 1, memory 512.0 MiB",
    );
    assert.equal(
      line("updated", instance({ state: "running", health: "healthy" })),
      "11:05:07  updated  Instance web/first  state pending → running, health unknown → healthy",
    );
    const failing = { type: "Failing", state: "true", reason: "StorageFull" };
    assert.match(
      line("updated", instance({ state: "running", health: "healthy", conditions: [failing] })),
      /first {2}condition - → StorageFull$/,
    );
    assert.equal(line("deleted", instance({}, {}, 9)), "11:05:09  deleted  Instance web/first");
    assert.match(line("created", instance({})), /state pending/, "what was deleted is forgotten");
  });

  test("name fields where no list would show the change, and are silent of what was only seen again", () => {
    const line = linesOn();
    line("updated", instance({}));
    assert.equal(line("updated", instance({ seenAt: "2026-03-04T10:00:00Z" }, { revision: 9 })), "");
    assert.match(line("updated", instance({}, { labels: { tier: "gold" } })), /first {2}metadata\.labels\.tier$/);
    const [a, b, c, d] = ["a", "b", "c", "d"];
    assert.match(line("updated", instance({ a, b, c, d })), /metadata\.labels\.tier, status\.a, status\.b and 2 more$/);
  });

  test("have the date where they are not of today, fit the terminal, and do not steer it", () => {
    const line = linesOn({ isTTY: true, columns: 40 });
    const old = instance({}, { updatedAt: new Date(2026, 0, 2, 3, 4, 5).toISOString() });
    const narrow = line("created", old);
    assert.equal(narrow, "2026-01-02 03:04:05  created  Instance …");
    assert.equal(narrow.length, 40);
    assert.ok(!linesOn()("created", instance({ state: "x\u001b]0;title\u0007\n" })).includes("\n"));
  });
});
