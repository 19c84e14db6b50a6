import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import { judge, startRegisterLoad, type LoggedChange } from "@skerry/testkit";

const at = "2026-01-01T00:00:00.000Z";

/** Registers in memory that lose the answer to every third change; without `knows` they forget what they were asked before. */
class ForgetfulRegisters {
  readonly log: LoggedChange[] = [];
  readonly #knows: boolean;
  readonly #done = new Set<string>();
  #asked = 0;

  constructor(knows: boolean) {
    this.#knows = knows;
  }

  get client(): Pick<Client, "get" | "put"> {
    const resourceOf = (name: string) => {
      const change = this.log.findLast(({ register }) => register === name);
      if (change === undefined) throw new SkerryError("not-found", "There is no such register.");
      const { revision, id: displayName } = change;
      const metadata = { name, id: `org-${name}`, revision, generation: 1, labels: {}, createdAt: at, updatedAt: at };
      return { kind: "Organisation" as const, metadata, spec: { displayName }, status: {} };
    };
    const put: Client["put"] = (async (_kind, { name }, { spec }, options) => {
      const id = (spec as { displayName: string }).displayName;
      const { idempotencyKey = "", ifRevision } = options ?? {};
      await Promise.resolve();
      if (this.#knows && this.#done.has(idempotencyKey)) return { resource: resourceOf(name) };
      const before = this.log.findLast(({ register }) => register === name)?.revision;
      if (before !== ifRevision) throw new SkerryError("revision-mismatch", "It is another by now.");
      this.log.push({ register: name, id, revision: this.log.length + 1 });
      this.#done.add(idempotencyKey);
      if (++this.#asked % 3 === 0) throw new SkerryError("unavailable", "The answer was lost.");
      return { resource: resourceOf(name) };
    }) as Client["put"];
    const get = (async (_kind, { name }) => {
      await Promise.resolve();
      return resourceOf(name);
    }) as Client["get"];
    return { get, put };
  }
}

describe("the load of registers", () => {
  for (const [knows, what] of [
    [true, "asks again for what was left open, and counts it as one change"],
    [false, "finds out who does not know a request that is asked for again"],
  ] as const) {
    test(what, async () => {
      const registers = new ForgetfulRegisters(knows);
      const load = startRegisterLoad([registers.client, registers.client, registers.client], 2);
      const limit = AbortSignal.timeout(10_000);
      while (registers.log.length < 100) await load.nextAcknowledgement(limit);
      await load.stop();
      const verdict = judge(load.attempts, load.reads, registers.log);
      assert.deepEqual([verdict.lost, verdict.appliedTwice], [[], []]);
      if (!knows) assert.match(verdict.contradictions.join("\n"), /was refused, and is in the log/);
      else assert.deepEqual(verdict.contradictions, []);
      const repeated = load.attempts.filter(({ outcome, revision }) => outcome === "made" && revision === undefined);
      assert.equal(repeated.length > 0, knows);
    });
  }
});
