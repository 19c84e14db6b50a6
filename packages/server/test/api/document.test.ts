import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Condition } from "@skerry/model";
import type { StoredDocument } from "@skerry/store";
import { documentJson, writeDocument } from "../../src/api/document.ts";

const seenMs = Date.UTC(2026, 5, 6, 7, 8, 9, 10);

function documentOf(object: object): StoredDocument {
  const json = Buffer.from(JSON.stringify(object));
  return { id: "ins_1", key: { name: "web" }, revision: 1, nodeId: "nod_1", json, object: () => assert.fail() };
}

function written(object: object, condition?: Condition): unknown {
  const target = Buffer.alloc(4096);
  const document = documentOf(object);
  const sight = { seenAtMs: () => seenMs, unreachable: () => condition };
  const json = documentJson(document, sight);
  const end = writeDocument(target, 3, document, json, sight);
  assert.equal(end - 3, json.length);
  return JSON.parse(target.toString("utf8", 3, end));
}

describe("a document that is copied", () => {
  test("says when its node last saw it, wherever a tenant wrote words like that", () => {
    const spec = { userData: '"seenAt":"2020-01-01T00:00:00.000Z" \\"seenAt":"' };
    const status = { state: "running", seenAt: "2026-01-01T00:00:00.000Z" };
    assert.deepEqual(written({ spec, status }), { spec, status: { ...status, seenAt: "2026-06-06T07:08:09.010Z" } });
  });

  test("says that its node is not heard, beside what else is wrong, and its stored form stays as it is", () => {
    const silent = {
      type: "Reachable",
      state: "unknown",
      reason: "NodeSilent",
      changedAt: "2026-01-01T00:00:00.000Z",
    } as const;
    const failing = { ...silent, type: "Failing", state: "true" } as const;
    const spec = { userData: '"conditions":[ \\"conditions":[' };
    for (const conditions of [[], [failing]]) {
      const status = { seenAt: "2026-06-06T07:08:09.010Z", conditions };
      assert.deepEqual(written({ spec, status }, silent), {
        spec,
        status: { ...status, conditions: [silent, ...conditions] },
      });
      assert.deepEqual(written({ spec, status }), { spec, status });
    }
    assert.deepEqual(written({ spec }, silent), { spec });
  });

  test("stays as it is where it was never seen", () => {
    const object = { spec: { userData: '"seenAt":"' }, status: { state: "pending" } };
    assert.deepEqual(written(object), object);
  });
});
