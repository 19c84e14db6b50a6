import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "@skerry/testkit";
import { wholeTrail } from "../contract/audit-trail.ts";
import { follow } from "../contract/feed-contract.ts";
import { assertSameList } from "../contract/same-list.ts";
import { makeSqlitePlace } from "./place.ts";

/** Runs the load on a store, kills it after `acknowledgements` lines, and returns every whole line that it wrote. */
async function runAndKill(path: string, firstSerial: number, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "load-child.ts"), path, String(firstSerial)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const lines: string[] = [];
  let partial = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (partial + text).split("\n");
    partial = parts.pop() ?? "";
    lines.push(...parts);
    if (lines.length >= acknowledgements) child.kill("SIGKILL");
  });
  const [, signal] = (await closed) as [number | null, string | null];
  assert.equal(signal, "SIGKILL", "the load ended by itself");
  return lines;
}

test("killed a dozen times under load, the store has everything it acknowledged, a log without gap or repetition, and a whole audit trail of just that", async (t) => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const place = await makeSqlitePlace();
  t.after(() => place.dispose());
  let acknowledged = 0;
  let highest = 0;
  for (let round = 0; round < 12; round++) {
    const lines = await runAndKill(place.path, round * 1_000_000, 1 + Math.floor(random() * 200));
    const store = await place.open();
    const events = await follow(store, 0, store.revision);
    assertSameList(
      events.map((event) => event.revision),
      Array.from({ length: store.revision }, (_, index) => index + 1),
    );
    const put = new Set(events.filter((event) => event.type === "created").map((event) => event.id));
    const deleted = new Set(events.filter((event) => event.type === "deleted").map((event) => event.id));
    for (const line of lines) {
      const [revision, ...words] = line.split(" ");
      highest = Math.max(highest, Number(revision));
      for (const word of words) {
        const id = word.slice(1);
        assert.ok(
          (word.startsWith("+") ? put : deleted).has(id),
          `round ${round}: acknowledged ${word} at ${revision} is gone`,
        );
        if (word.startsWith("-")) assert.equal(store.getById("Instance", id), undefined);
        else assert.ok(deleted.has(id) || store.getById("Instance", id) !== undefined);
      }
    }
    const told = (await wholeTrail(store)).flatMap(({ changes }) => changes);
    assertSameList(
      told.map(({ revision, type, id }) => `${revision} ${type} ${id}`),
      events.map(({ revision, type, id }) => `${revision} ${type} ${id}`),
    );
    assert.ok(store.revision >= highest);
    assert.equal(store.list("Instance").length, put.size - deleted.size);
    acknowledged += lines.length;
    await store.close();
  }
  t.diagnostic(`${acknowledged} transactions acknowledged, revision ${highest}`);
});
