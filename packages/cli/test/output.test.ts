import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { SkerryError, errorCodes, type Condition, type ResourceOf } from "@skerry/model";
import "@skerry/testkit/seed";
import { exitCodeOf } from "../src/exit-code.ts";
import { formatAge, formatBytes, formatDuration } from "../src/output/duration.ts";
import { reportFailure } from "../src/output/failure.ts";
import { whatStays } from "../src/commands/operation.ts";
import { renderList } from "../src/output/render.ts";
import { tableLines } from "../src/output/table.ts";
import type { Terminal } from "../src/output/terminal.ts";

const columns = [
  { title: "NAME", cell: (row: readonly string[]) => row[0] ?? "" },
  { title: "SIZE", align: "right" as const, cell: (row: readonly string[]) => row[1] ?? "" },
  { title: "STATE", cell: (row: readonly string[]) => row[2] ?? "" },
];

describe("tables", () => {
  test("align left and right, with and without colours, and end no line with spaces", () => {
    const lines = tableLines(columns, [
      ["a", "1", "\u001b[32mrunning\u001b[39m"],
      ["longer-name", "1000", "stopped"],
    ]);
    assert.deepEqual(lines.map(stripVTControlCharacters), [
      "NAME         SIZE  STATE",
      "a               1  running",
      "longer-name  1000  stopped",
    ]);
  });

  test("nothing in a cell can steer the terminal or break a line", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), fc.string({ unit: "binary" }))),
        (rows) => {
          const lines = tableLines(columns, rows);
          assert.equal(lines.length, rows.length + 1);
          for (const line of lines)
            assert.ok(
              !/[\u0000-\u001a\u001c-\u001f\u007f-\u009f]/.test(line) && !/\u001b(?!\[[0-9;]*m)/.test(line),
              JSON.stringify(line),
            );
        },
      ),
    );
  });
});

test("a list tells what is wrong with a row, and has no column for it where nothing is", async () => {
  const listed = async (conditions: readonly Condition[]) => {
    const out = new PassThrough();
    const volume = {
      kind: "Volume",
      metadata: { name: "web", project: "shop", createdAt: "2026-01-01T00:00:00Z" },
      spec: { sizeMiB: 64, instance: "web" },
      status: { state: "failed", conditions, seenAt: "1969-12-31T23:59:48Z" },
    } as unknown as ResourceOf<"Volume">;
    await renderList({ out, err: out, live: false } as unknown as Terminal, "Volume", [volume], "table", 0);
    return String(out.read()).split("\n").map(stripVTControlCharacters);
  };
  const failing = { type: "Failing", state: "true", reason: "StorageFull", changedAt: "2026-01-01T00:00:00Z" } as const;
  const [titles, row] = await listed([failing]);
  assert.match(titles ?? "", /AGE {2}CONDITION$/);
  assert.match(row ?? "", / StorageFull$/);
  const silent = { ...failing, type: "Reachable", state: "unknown", reason: "NodeSilent" } as const;
  assert.match((await listed([silent, failing]))[1] ?? "", / NodeSilent 12s, StorageFull$/);
  const nowhere = { ...failing, type: "Replacing", state: "false", reason: "NoOtherNode" } as const;
  assert.match((await listed([nowhere]))[1] ?? "", / NoOtherNode$/);
  assert.match((await listed([{ ...failing, state: "false" }]))[0] ?? "", /AGE$/);
});

test("a list keeps within a narrow terminal what matters most, and leaves nothing out elsewhere", async () => {
  const titles = async (stream: object, everyProject = false) => {
    const out = Object.assign(new PassThrough(), stream);
    const instance = {
      kind: "Instance",
      metadata: { name: "web-berlin", project: "demo", createdAt: "1970-01-01T00:00:00Z" },
      spec: { vcpus: 1, memoryMiB: 512 },
      assignment: { node: "berlin-1" },
      status: {
        ...{ state: "running", health: "healthy", provider: "meseta", site: "berlin", conditions: [] },
        addresses: [{ address: "10.100.0.20" }],
      },
    } as unknown as ResourceOf<"Instance">;
    await renderList(
      { out, err: out, live: false } as unknown as Terminal,
      "Instance",
      [instance],
      "table",
      0,
      everyProject,
    );
    const lines = String(out.read()).trimEnd().split("\n").map(stripVTControlCharacters);
    const { columns = 1000 } = stream as { columns?: number };
    assert.ok(
      lines.every((line) => line.length <= columns),
      lines.join("\n"),
    );
    return (lines[0] ?? "").split(/ {2,}/);
  };
  const all = "NAME PROJECT STATE HEALTH PROVIDER SITE NODE ADDRESS VCPUS MEMORY SEEN AGE".split(" ");
  assert.deepEqual(await titles({}), all);
  assert.deepEqual(await titles({ isTTY: true, columns: 200 }), all);
  const named = "NAME PROJECT STATE NODE ADDRESS".split(" ");
  assert.deepEqual(await titles({ isTTY: true, columns: 58 }, true), named, "of every project");
  const narrow = "NAME PROJECT STATE HEALTH PROVIDER SITE NODE ADDRESS".split(" ");
  assert.deepEqual(await titles({ isTTY: true, columns: 80 }), narrow);
  assert.deepEqual(await titles({ isTTY: true, columns: 58 }), "NAME STATE PROVIDER NODE ADDRESS".split(" "));
});

test("a cancel says what stays of what was asked, and nothing where all is taken back", () => {
  const of = (type: string) =>
    whatStays({
      spec: { type, targets: [{ kind: "Instance", project: "web", name: "first" }] },
    } as unknown as ResourceOf<"Operation">);
  assert.match(of("instance.stop") ?? "", /^instance stop is .* stays: start it .* skerry instance start web\/first$/);
  assert.match(of("instance.start") ?? "", /skerry instance stop web\/first$/);
  assert.equal(of("instance.migrate"), undefined);
  assert.equal(of("instance.create"), undefined);
});

describe("figures for people", () => {
  test("durations, ages and bytes are short and have units", () => {
    assert.equal(formatDuration(340.4), "340 ms");
    assert.equal(formatDuration(7230), "7.2 s");
    assert.equal(formatDuration(185_000), "3 min 05 s");
    assert.equal(formatBytes(3_984_588), "3.8 MiB");
    const now = Date.parse("2026-01-01T00:10:00Z");
    assert.equal(formatAge("2026-01-01T00:00:00Z", now), "10m");
    assert.equal(formatAge("2026-01-01T00:11:00Z", now), "0s");
    assert.equal(formatAge(undefined, now), "-");
  });
});

describe("exit codes", () => {
  test("every error of the catalogue has one, and none is success", () => {
    for (const code of errorCodes) assert.ok(exitCodeOf(code) >= 1 && exitCodeOf(code) <= 7, code);
  });
});

test("an error names fields as people write them, and says no thing twice", () => {
  const printed = (errors: readonly { path: string; message: string }[]) => {
    const err = new PassThrough();
    const detail = "The site is not valid: spec.country must be two capital letters.";
    reportFailure(
      { out: err, err, live: false } as unknown as Terminal,
      new SkerryError("invalid-request", detail, { errors }),
      false,
    );
    return stripVTControlCharacters(String(err.read())).trimEnd().split("\n").slice(1);
  };
  const country = { path: "/spec/country", message: "must be two capital letters" };
  assert.deepEqual(printed([country]), []);
  assert.deepEqual(printed([country, { path: "/spec/tiers/0", message: "must be one of: cloud" }]), [
    "  spec.country must be two capital letters",
    "  spec.tiers[0] must be one of: cloud",
  ]);
});

test("an error shows what nodes and tenants wrote, and none of it steers the terminal", () => {
  const err = new PassThrough();
  const terminal = { out: err, err, live: false } as unknown as Terminal;
  const path = "/spec\u001b[2J";
  const error = new SkerryError("node-driver-failed", "gone\u001b]0;title\u0007\nerror ok", {
    remedy: "look\rhere",
    errors: [{ path, message: "no\u009b2J" }],
  });
  assert.equal(reportFailure(terminal, error, false), exitCodeOf("node-driver-failed"));
  const text = stripVTControlCharacters(String(err.read()));
  assert.deepEqual(text.trimEnd().split("\n"), [
    "error node-driver-failed gone]0;title  error ok",
    "  spec[2J no 2J",
    "  do look here",
  ]);
});
