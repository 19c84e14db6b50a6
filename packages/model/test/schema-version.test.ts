import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { currentForm, schemaVersionOf, type Migrations, type StoredJson } from "@skerry/model";

/** Three versions: the second renamed a field, the third counts from one. */
const table: Migrations = {
  Site: [
    ({ spec, ...site }) => ({ ...site, spec: { height: (spec as { altitude: number }).altitude } }),
    ({ spec, ...site }) => ({ ...site, spec: { height: (spec as { height: number }).height + 1 } }),
  ],
};
const site = (spec: object, schemaVersion?: number): StoredJson => ({
  kind: "Site",
  metadata: { name: "cadiz", ...(schemaVersion === undefined ? {} : { schemaVersion }) },
  spec,
  later: "kept",
});

describe("a stored object of an older version", () => {
  test("goes through every migration from its own version on, once each, and keeps what they don't know", () => {
    const now = site({ height: 8 }, 3);
    assert.deepEqual(currentForm("Site", site({ altitude: 7 }), table), now);
    assert.deepEqual(currentForm("Site", site({ height: 7 }, 2), table), now);
    assert.equal(currentForm("Site", now, table), now);
    assert.equal(schemaVersionOf("Site", table), 3);
  });

  test("is left alone where its kind never had another form", () => {
    const project = { kind: "Project", metadata: { name: "shop" } };
    assert.equal(currentForm("Project", project, table), project);
    assert.equal(schemaVersionOf("Project", table), 1);
  });

  test("is refused where a newer version wrote it, with the way out", () => {
    for (const [kind, object] of [
      ["Site", site({}, 4)],
      ["Project", { kind: "Project", metadata: { name: "shop", schemaVersion: 2 } }],
    ] as const) {
      assert.throws(() => currentForm(kind, object, table), {
        code: "unavailable",
        message: /A newer Skerry wrote the/,
      });
    }
  });

  test("a network of version 1 loses the leases that it held", () => {
    const network = { kind: "Network", metadata: { name: "lan" }, spec: {}, status: { leases: [1], conditions: [] } };
    const { status, metadata } = currentForm("Network", network);
    assert.deepEqual([status, metadata], [{ conditions: [] }, { name: "lan", schemaVersion: 2 }]);
  });
});
