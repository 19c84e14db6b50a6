import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { isRecord, kindNames, type KindName } from "@skerry/model";
import { rulesOf } from "../../src/undo/rules.ts";
import { revisionOf, undoCases } from "./undo-cases.ts";
import { startUndoZone, type UndoZone } from "./undo-zone.ts";

/** What is asked for by a route of its own. */
const byOtherRoutes: Partial<Record<KindName, readonly string[]>> = { Image: ["upload"], User: ["credentials"] };

/** Of which one case leaves behind what would be in the way of the next. */
const keeping: ReadonlySet<KindName> = new Set(["Instance", "Volume", "Operation", "User"]);

/* Every verb of every kind, made from the table of kinds and their intents: what the rules promise is what the API does. */
describe("undo of every verb of every kind", () => {
  test("has an answer for each action that there is, and a case that tries it", async () => {
    await using zone = await startUndoZone();
    for (const kind of kindNames) {
      const actions = [...Object.keys(zone.fleet.controllers.intents[kind].actions), ...(byOtherRoutes[kind] ?? [])];
      assert.deepEqual(Object.keys(rulesOf(kind).actions).toSorted(), actions.toSorted(), kind);
      const verbs = ["create", "update", "delete", ...actions];
      assert.deepEqual(Object.keys(undoCases[kind]).toSorted(), verbs.toSorted(), kind);
    }
  });

  for (const kind of kindNames) {
    const sharing = keeping.has(kind) ? undefined : shared();
    after(() => sharing?.end());
    for (const [verb, one] of Object.entries(undoCases[kind])) {
      const answer = answerOf(kind, verb);
      const promise =
        answer.way === "never" ? "is refused, with the reason and a remedy" : `can be taken back (${answer.way})`;
      test(`${verb} of ${kind} ${"closed" in one ? "can not be asked for" : promise}`, async () => {
        await using own = sharing === undefined ? await openZone() : undefined;
        const { zone, foreigner, viewer } = own ?? (await sharing?.zone()) ?? assert.fail();
        if ("closed" in one) {
          assert.equal(answer.way, "never");
          const { status } = await one.closed(zone);
          assert.ok(status === (isRecord(kind) ? 404 : 409), String(status));
          return;
        }
        await one.prepare?.(zone);
        const before = zone.snapshot();
        const asked = await one.ask(zone);
        assert.ok(asked.status < 300, asked.text);
        const revision = revisionOf(asked);
        const left = zone.snapshot();
        // Whoever may not know of it is answered as if it had never been, and whoever may only look does not undo.
        for (const query of ["", "?dryRun=true"]) {
          const hidden = await zone.undo({ revision }, query, foreigner);
          const none = await zone.undo({ revision: 900_000 }, query, foreigner);
          assert.equal(hidden.text, none.text.replace("900000", String(revision)));
          assert.equal(hidden.at("code"), "not-found", hidden.text);
          const seen = await zone.undo({ revision }, query, viewer);
          assert.equal(seen.at("code"), answer.way === "never" ? "irreversible" : "forbidden", seen.text);
        }
        const { revision: stored } = zone.api.store;
        const rehearsed = await zone.undo({ revision }, "?dryRun=true");
        assert.equal(zone.api.store.revision, stored);
        const undone = await zone.undo({ revision });
        await zone.fleet.calm();
        if (answer.way === "never") {
          for (const refusal of [rehearsed, undone]) {
            assert.equal(refusal.status, 409, refusal.text);
            assert.equal(refusal.at("code"), "irreversible", refusal.text);
            assert.ok(refusal.textAt("detail").includes(answer.refusal.why), refusal.text);
            assert.ok(refusal.textAt("remedy").length > 10);
          }
          assert.deepEqual(zone.snapshot(), left);
          return;
        }
        assert.equal(rehearsed.status, 200, rehearsed.text);
        assert.ok(rehearsed.each("plan", "kind").includes(kind), rehearsed.text);
        assert.ok(undone.status < 300, undone.text);
        assert.deepEqual(undone.at("undone"), rehearsed.at("undone"));
        assert.deepEqual(zone.snapshot(), before);
        const redone = await zone.undo({ revision: revisionOf(undone) });
        await zone.fleet.calm();
        if (one.redo === false) {
          assert.equal(redone.at("code"), "irreversible", redone.text);
          assert.deepEqual(zone.snapshot(), before);
        } else {
          assert.ok(redone.status < 300, redone.text);
          assert.deepEqual(zone.snapshot(), left);
        }
      });
    }
  }
});

interface OpenZone extends AsyncDisposable {
  readonly zone: UndoZone;
  /** Tokens of whoever may see nothing of it, and of whoever may only look. */
  readonly foreigner: string;
  readonly viewer: string;
}

async function openZone(): Promise<OpenZone> {
  const zone = await startUndoZone();
  const foreigner = await zone.api.token("foreigner", "operator", "elsewhere");
  const viewer = await zone.api.token("viewer", "viewer");
  return { zone, foreigner, viewer, [Symbol.asyncDispose]: () => zone[Symbol.asyncDispose]() };
}

/** One zone for all cases of a kind, opened by the first. */
function shared() {
  let opened: Promise<OpenZone> | undefined;
  return {
    zone: (): Promise<OpenZone> => (opened ??= openZone()),
    end: async (): Promise<void> => (await opened)?.[Symbol.asyncDispose](),
  };
}

function answerOf(kind: KindName, verb: string) {
  const rules = rulesOf(kind);
  const answer = verb === "create" || verb === "update" || verb === "delete" ? rules[verb] : rules.actions[verb];
  return answer ?? assert.fail(`nothing says how ${verb} of a ${kind} is taken back`);
}
