import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seed } from "@skerry/testkit/seed";
import { Table, type Entry } from "../../src/table/table.ts";

type Action =
  | {
      readonly do: "put";
      readonly id: number;
      readonly name: string;
      readonly bytes: number;
      readonly node: string;
      readonly labels: string;
    }
  | { readonly do: "delete"; readonly id: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      id: fc.nat(400),
      name: fc.oneof(
        fc.nat(500).map((number) => `p${number % 3} web-${number}`),
        fc.constantFrom("p a", "p a-b", "p-2 a", "q ä", "q ", " ", "p0 web"),
      ),
      // Large ones fill slabs soon, so that there is something to compact.
      bytes: fc.oneof({ weight: 4, arbitrary: fc.nat(3000) }, { weight: 1, arbitrary: fc.nat(400_000) }),
      node: fc.constantFrom("", "nod_1", "nod_2"),
      labels: fc.constantFrom("{}", '{"a":"1"}', '{"a":"2"}', '{"a":"1","b":"x"}'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), id: fc.nat(400) }) },
);

/** What a table of these must be, the plain way. */
class Oracle {
  readonly byId = new Map<string, Entry>();

  nameHolder(name: string): string | undefined {
    for (const entry of this.byId.values()) if (entry.name === name) return entry.id;
    return undefined;
  }

  ordered(from: string, prefix: string, label = ""): string[] {
    return [...this.byId.values()]
      .filter((entry) => entry.facts.labels.includes(label))
      .filter(({ name }) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), Buffer.from(from)) >= 0)
      .sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)))
      .map(({ id }) => id);
  }
}

function entryOf(put: Action & { do: "put" }, revision: number): Entry {
  const body = JSON.stringify({ revision, é: "ü".repeat(put.bytes / 2) });
  return {
    id: `ins_${put.id}`,
    name: put.name,
    revision,
    body,
    facts: { ...facts, node: put.node, labels: put.labels },
  };
}

const facts = {
  node: "",
  labels: "{}",
  isPlain: true,
  amount: 1,
  secondAmount: 2,
  network: "lan",
  address: 3,
} as const;

function check(table: Table, oracle: Oracle): void {
  assert.equal(table.size, oracle.byId.size);
  for (const entry of oracle.byId.values()) {
    const row = table.rowOfId(entry.id);
    assert.notEqual(row, -1, `${entry.id} is missing`);
    assert.equal(table.rowOfName(entry.name), row);
    assert.deepEqual(
      {
        id: table.id(row),
        name: table.name(row),
        revision: table.revision(row),
        body: table.text(row),
        node: table.node(row),
      },
      { id: entry.id, name: entry.name, revision: entry.revision, body: entry.body, node: entry.facts.node },
    );
    assert.equal(table.body(row).toString(), entry.body);
  }
  assert.equal(table.rowOfId("ins_none"), -1);
  for (const [from, prefix] of [
    ["", ""],
    ["p1 ", "p1 "],
    ["p1 web-3", "p1 "],
    ["q", ""],
    ["p ", "p "],
  ] as const) {
    const ids = [...table.ordered(from, prefix)].map((row) => table.id(row));
    assert.deepEqual(ids, oracle.ordered(from, prefix), `from ${from} with ${prefix}`);
    for (const [key, value] of [
      ["a", "1"],
      ["a", "2"],
      ["b", "x"],
    ] as const) {
      const labelled = [...table.labelled(key, value, from, prefix)].map((row) => table.id(row));
      assert.deepEqual(labelled, oracle.ordered(from, prefix, `"${key}":"${value}"`), `${key}=${value} from ${from}`);
    }
  }
  for (const [key, value] of [
    ["a", "1"],
    ["b", "x"],
    ["c", ""],
  ] as const)
    assert.equal(table.countLabelled(key, value), oracle.ordered("", "", `"${key}":"${value}"`).length);
  for (const node of ["", "nod_1", "nod_2", "nod_3"]) {
    const there = [...oracle.byId.values()].filter((entry) => entry.facts.node === node).map(({ id }) => id);
    assert.deepEqual(Array.from(table.onNode(node), (row) => table.id(row)).sort(), there.sort(), node);
  }
}

describe("a table", () => {
  test("holds what a map would, in order, whatever was put, renamed, deleted and moved by compaction", (t) => {
    t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 600, size: "max" }), (actions) => {
        const [table, oracle] = [new Table(), new Oracle()];
        let revision = 0;
        for (const next of actions) {
          if (next.do === "delete") {
            const id = `ins_${next.id}`;
            const row = table.rowOfId(id);
            assert.equal(row !== -1, oracle.byId.delete(id));
            if (row !== -1) table.delete(row);
            continue;
          }
          const entry = entryOf(next, ++revision);
          const holder = oracle.nameHolder(entry.name);
          // The store refuses a name that another has.
          if (holder !== undefined && holder !== entry.id) continue;
          table.put(entry);
          oracle.byId.set(entry.id, entry);
        }
        check(table, oracle);
      }),
      // Shrinking hundreds of large records takes minutes; the seed says enough.
      { numRuns: 60, seed, endOnFailure: true },
    );
  });

  test("keeps thousands of names in order, and finds each after half of them went", () => {
    const [table, oracle] = [new Table(), new Oracle()];
    const random = xorshift(7);
    for (let serial = 0; serial < 20_000; serial++) {
      const name = `p${random() % 50} n${random() % 1_000_000_000}-${serial}`;
      const entry = { id: `ins_${serial}`, name, revision: serial, body: "{}", facts };
      table.put(entry);
      oracle.byId.set(entry.id, entry);
    }
    for (let serial = 0; serial < 20_000; serial += 2) {
      table.delete(table.rowOfId(`ins_${serial}`));
      oracle.byId.delete(`ins_${serial}`);
    }
    check(table, oracle);
  });

  test("gives memory back: what it holds stays near what lives, however often that is written", () => {
    const table = new Table();
    const body = "x".repeat(2000);
    const random = xorshift(3);
    for (let serial = 0; serial < 100_000; serial++) {
      const number = random() % 2000;
      table.put({ id: `ins_${number}`, name: `p n-${number}`, revision: serial, body, facts });
    }
    const { heldBytes, liveBytes } = table.memory;
    assert.ok(heldBytes < liveBytes * 2 + 2 * 1024 * 1024, `${heldBytes} held for ${liveBytes}`);
    for (let number = 0; number < 2000; number++) {
      const row = table.rowOfId(`ins_${number}`);
      if (row !== -1) table.delete(row);
    }
    assert.equal(table.memory.liveBytes, 0);
    assert.ok(table.memory.heldBytes <= 2 * 1024 * 1024, `${table.memory.heldBytes} held for nothing`);
  });
});

function xorshift(from: number): () => number {
  let state = from;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
