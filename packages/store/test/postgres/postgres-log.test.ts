import assert from "node:assert/strict";
import { describe, test } from "node:test";
import pg from "pg";
import { LostLeadership } from "../../src/commit-log.ts";
import type { Change } from "../../src/object.ts";
import { ConnectionLost, type Statement, type Statements } from "../../src/postgres/connection.ts";
import { PostgresLog } from "../../src/postgres/postgres-log.ts";
import { organisation } from "../contract/samples.ts";

type Fault = "refused" | "made, and it died" | "not made, and it died" | "lost";

/** A database with one epoch, which meets its faults one commit after the other, and is back at once where it died. */
class FaultyDatabase implements Statements {
  readonly faults: Fault[];
  readonly log: string[] = [];
  #dead = false;

  constructor(faults: readonly Fault[]) {
    this.faults = [...faults];
  }

  query<Row extends object>(statement: Statement): Promise<Row[]> {
    if (this.#dead) {
      this.#dead = false;
      return Promise.reject(new ConnectionLost("it ended"));
    }
    try {
      return Promise.resolve(this.#answer(statement) as Row[]);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #answer({ name, text, values = [] }: Statement): object[] {
    if (name === "commit") return this.#commit((values[1] as readonly number[]).join());
    if (text.includes("FROM skerry_leadership")) return [{ epoch: "1", renewals: "1", holder: "me", url: "" }];
    if (text.startsWith("SELECT epoch FROM skerry_changes")) return this.log.length === 0 ? [] : [{ epoch: "1" }];
    return [];
  }

  #commit(revisions: string): object[] {
    const fault = this.faults.shift();
    if (fault === "lost") throw new ConnectionLost("a firewall forgot it");
    if (fault === undefined || fault === "made, and it died") this.log.push(revisions);
    if (fault === undefined) return [{ epoch: "1" }];
    this.#dead = fault !== "refused";
    const error = new pg.DatabaseError("No space left on device", 0, "error");
    error.code = "53100";
    throw error;
  }
}

const object = organisation(1, "acme");
const { id, name } = object.metadata;
const place = { kind: object.kind, id, project: undefined, name };
const change: Change = {
  event: { revision: 1, ...place, type: "created", object, json: JSON.stringify(object) },
  timeMs: 0,
};

async function commit(
  ...faults: readonly Fault[]
): Promise<{ readonly log: readonly string[]; readonly told: unknown }> {
  const writer = new FaultyDatabase(faults);
  const log = new PostgresLog({
    ...{ zoneId: "zon", writer, reader: writer, patienceMs: 5000, keep: 1000, monotonicMs: () => performance.now() },
    origin: { store: "x", sqlCommand: (sql) => sql, tables: { objects: "o", changes: "c", meta: "m" } },
  });
  await log.lead(1);
  const told = await log.commit([change]).then(
    () => "made",
    (error: unknown) => error,
  );
  return { log: writer.log, told };
}

describe("a commit to PostgreSQL for which there is no room", () => {
  test("is refused with the remedy, and the log can go on", async () => {
    const { log, told } = await commit("refused");
    assert.ok(!(told instanceof LostLeadership));
    assert.equal((told as { code?: string }).code, "storage-full");
    assert.deepEqual(log, []);
  });

  test("was made where PostgreSQL wrote it and then died of the next file of its log", async () => {
    assert.deepEqual(await commit("made, and it died"), { log: ["1"], told: "made" });
  });

  test("is made once where PostgreSQL died first and found room when it was back", async () => {
    assert.deepEqual(await commit("not made, and it died"), { log: ["1"], told: "made" });
  });

  test("has an open fate where an earlier attempt may still be on its way", async () => {
    const { told } = await commit("lost", "refused");
    assert.ok(told instanceof LostLeadership);
    assert.deepEqual([told.problem.code, told.problem.facts?.["applied"]], ["storage-full", "unknown"]);
  });
});
