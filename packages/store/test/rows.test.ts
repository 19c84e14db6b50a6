import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readChange, readObject, type ChangeRow, type Origin } from "../src/rows.ts";

const tables = { objects: "objects", changes: "changes", meta: "meta" };
const origin: Origin = { store: "zone.db", sqlCommand: (sql) => `sqlite3 zone.db "${sql}"`, tables };

describe("a row that a damaged file gives", () => {
  for (const body of [null, 1795361509792, Buffer.from("{}"), undefined])
    test(`with ${typeof body === "object" ? "no text" : typeof body} for its body is named, with the way out`, () => {
      const place = { kind: "Volume", id: "vol_1", project: "p", name: "v", revision: 3, sum: 1 };
      const row = { ...place, body, type: "created", timeMs: 0 } as unknown as ChangeRow;
      const { type: _type, timeMs: _timeMs, ...object } = row;
      const refusal = { code: "unavailable", message: /damaged row in \w+ \(.*\): its body is no text/ };
      assert.throws(() => readChange(origin, row), refusal);
      assert.throws(() => readObject(origin, object), refusal);
    });
});
