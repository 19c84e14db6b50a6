import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { chainHash, exportHead, exportLine, verifyExport, type AuditRecord, type ExportProof } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { firstHead } from "../src/audit/chain.ts";

const zoneId = "zon_01";

function recordsOf(count: number, from = firstHead(zoneId)): readonly AuditRecord[] {
  const records: AuditRecord[] = [];
  let head = from;
  for (let at = 0; at < count; at++) {
    const seq = head.seq + 1;
    const record = `{"seq":${seq},"timeMs":${1000 + at},"actor":{"name":"añä \\"x\\""},"cause":"c","changes":[]}`;
    head = { seq, hash: chainHash(head.hash, record) };
    records.push({ ...head, record });
  }
  return records;
}

const textOf = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(""));
const linesOf = (records: readonly AuditRecord[]): string[] => [
  exportHead(zoneId, firstHead(zoneId)),
  ...records.map(exportLine),
];

/** Read in parts of some length, so that lines go over their borders. */
function proofOf(bytes: Uint8Array, part = 50, mark?: number): Promise<ExportProof> {
  const parts = Array.from({ length: Math.ceil(bytes.length / part) }, (_, at) =>
    bytes.subarray(at * part, (at + 1) * part),
  );
  return verifyExport(asyncOf(parts), mark);
}

async function* asyncOf<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

async function faultOf(lines: readonly string[]): Promise<unknown> {
  const { fault } = await proofOf(textOf(lines));
  return fault === undefined ? undefined : [fault.line, fault.why];
}

describe("an export of the audit log", () => {
  const records = recordsOf(12);
  const lines = linesOf(records);
  const bytes = textOf(lines);
  const last = records.at(-1);

  test("that is whole is proved so, with its head, however it is read", async () => {
    for (const part of [1, 7, 50, 100_000]) {
      const proof = await proofOf(bytes, part, 5);
      assert.equal(proof.fault, undefined);
      assert.deepEqual([proof.zoneId, proof.records, proof.bytes], [zoneId, 12, bytes.length]);
      assert.deepEqual(proof.head, { seq: 12, hash: last?.hash });
      assert.equal(proof.marked, records[4]?.hash);
    }
    // One that begins in the middle.
    const start = { seq: 4, hash: records[3]?.hash ?? "" };
    const later = await proofOf(textOf([exportHead(zoneId, start), ...records.slice(4).map(exportLine)]), 50, 4);
    assert.deepEqual([later.fault, later.start, later.records, later.marked], [undefined, start, 8, start.hash]);
    const empty = await proofOf(textOf(lines.slice(0, 1)));
    assert.deepEqual([empty.fault, empty.records, empty.head], [undefined, 0, firstHead(zoneId)]);
  });

  test("in which any byte was changed in any way is refused, and the line is named", async (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    const starts = lines.map((_, at) => textOf(lines.slice(0, at)).length);
    const flip = fc.record({ at: fc.nat(bytes.length - 1), by: fc.integer({ min: 1, max: 255 }) });
    const holds = fc.asyncProperty(flip, async ({ at, by }) => {
      const harmed = Buffer.from(bytes);
      harmed[at] = (harmed[at] ?? 0) ^ by;
      const { fault, bytes: good } = await proofOf(harmed, 1000);
      assert.ok(fault !== undefined, `byte ${at} was changed by ${by}, and nothing was said`);
      const line = starts.findLastIndex((start) => start <= at) + 1;
      assert.equal(fault.line, line, `byte ${at} by ${by}: ${fault.why}`);
      assert.equal(good, starts[line - 1]);
    });
    await fc.assert(holds, { seed, numRuns: 3000 });
    for (let at = 0; at < bytes.length; at++) {
      const harmed = Buffer.from(bytes);
      harmed[at] = (harmed[at] ?? 0) ^ 1;
      assert.ok((await proofOf(harmed, 1000)).fault !== undefined, `byte ${at}`);
    }
  });

  test("that lacks a line, has two in the wrong order or one twice, is refused with what is wrong", async () => {
    const without = (...gone: readonly number[]) => lines.filter((_, at) => !gone.includes(at));
    assert.deepEqual(await faultOf(without(4)), [5, "record 4 is missing before record 5"]);
    assert.deepEqual(await faultOf(without(1, 2, 3)), [2, "records 1 to 3 are missing before record 4"]);
    const swapped = lines.with(4, lines[5] ?? "").with(5, lines[4] ?? "");
    assert.deepEqual(await faultOf(swapped), [5, "record 4 is missing before record 5"]);
    const twice = lines.toSpliced(4, 0, lines[4] ?? "");
    assert.deepEqual(await faultOf(twice), [6, "record 4 is repeated or out of order, and 5 has to come"]);
    assert.deepEqual(await faultOf(without(0)), [1, "it is not the first line of an export"]);
    assert.deepEqual(await faultOf([]), [1, "there is none"]);
    assert.deepEqual(await faultOf(lines.toSpliced(3, 0, "")), [4, "it is not a record and its hash"]);
  });

  test("in which one record was changed and given a new hash is refused at the next line", async () => {
    const [old, after] = [records[4], records[3]];
    assert.ok(old !== undefined && after !== undefined);
    const record = old.record.replace("1004", "2004");
    assert.notEqual(record, old.record);
    const forged = exportLine({ seq: 5, record, hash: chainHash(after.hash, record) });
    const fault = [7, "record 6 does not follow on the line before: one of the two was changed"];
    assert.deepEqual(await faultOf(lines.with(5, forged)), fault);
  });

  test("whose chain was made anew over a record that was left out is refused by its numbers", async () => {
    const kept = records.slice(0, 4);
    const later = recordsOf(3, { seq: 5, hash: kept.at(-1)?.hash ?? "" });
    const fault = [6, "its record's number is 6, and has to be 5"];
    assert.deepEqual(await faultOf(linesOf([...kept, ...later])), fault);
  });

  test("that was cut short is refused at its last line; without whole lines at its end it shows an earlier head", async () => {
    for (let end = 0; end < bytes.length; end++) {
      const { fault, bytes: good, head } = await proofOf(bytes.subarray(0, end), 1000);
      const isWhole = end > 0 && bytes[end - 1] === 0x0a;
      assert.equal(fault?.isCut ?? false, !isWhole, `cut at ${end}`);
      assert.equal(
        good,
        bytes.lastIndexOf(0x0a, end - 1) + 1 === 0 || end === 0 ? 0 : bytes.lastIndexOf(0x0a, end - 1) + 1,
      );
      assert.ok(head.seq < 12);
    }
    const { fault, head, marked } = await proofOf(textOf(lines.slice(0, -1)), 50, 12);
    assert.deepEqual([fault, head.seq, marked], [undefined, 11, undefined]);
  });

  test("whose records are another zone's, or whose start was made up, is refused", async () => {
    const other = exportHead("zon_02", firstHead("zon_02"));
    assert.match(String(await faultOf(lines.with(0, other))), /^2,record 1 does not follow/);
    const madeUp = exportHead(zoneId, { seq: 0, hash: "0".repeat(64) });
    assert.deepEqual(await faultOf(lines.with(0, madeUp)), [1, "its log does not begin with its zone's id"]);
  });
});
