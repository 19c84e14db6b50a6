import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { AuditRecord, Store } from "@skerry/store";

/** A record's text, parsed. */
export interface Told {
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: { readonly name: string; readonly tokenId?: string };
  readonly from?: string;
  readonly cause: string;
  readonly why?: string;
  readonly changes: readonly {
    readonly type: "created" | "updated" | "deleted";
    readonly kind: string;
    readonly id: string;
    readonly project?: string;
    readonly name: string;
    readonly revision: number;
    readonly before?: Body;
    readonly after?: Body;
  }[];
}

interface Body {
  readonly metadata: { readonly revision: number };
  readonly spec: object;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Every record, a page after the other, whose chain is whole. */
export async function wholeTrail(store: Store, limit = 500): Promise<readonly Told[]> {
  const records: AuditRecord[] = [];
  let after: number | undefined = 0;
  let hash = sha256(store.zoneId);
  while (after !== undefined) {
    const page = await store.audit.read({ after, limit });
    assert.equal(page.start.hash, hash);
    for (const { seq, record, hash: chained } of page.records) {
      assert.equal(seq, records.length + 1);
      hash = sha256(hash + record);
      assert.equal(chained, hash, `record ${seq}`);
      records.push({ seq, record, hash });
    }
    after = page.next;
    if (after === undefined) assert.deepEqual(page.head, { seq: records.length, hash });
  }
  const told = records.map(({ record }) => JSON.parse(record) as Told);
  assert.deepEqual(
    told.map(({ seq }) => seq),
    records.map(({ seq }) => seq),
  );
  return told;
}
