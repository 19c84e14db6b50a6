import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord, kindNames, kinds, type KindName } from "@skerry/model";
import { applyPatchType } from "../../src/api/route.ts";
import { draft, specs, startApi, type Answer } from "./api-harness.ts";

const zoneKinds = kindNames.filter((kind) => kinds[kind].scope === "zone" && !isRecord(kind));
/** Neither is a word of an answer. */
const [hidden, none] = ["zqhidden", "zqnothing"];

interface Try {
  readonly method: "GET" | "PUT" | "PATCH" | "DELETE" | "POST";
  readonly suffix?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

function tries(kind: KindName, spec: object): readonly Try[] {
  const apply = { "content-type": applyPatchType };
  return [
    { method: "GET" },
    { method: "GET", suffix: "?revision=1" },
    { method: "PUT", body: { spec } },
    { method: "PUT", body: { spec }, headers: { "if-match": '"3"' } },
    { method: "PUT", body: { spec, metadata: { name: "another" } } },
    { method: "PUT", body: { spec: { wrong: 1 } } },
    { method: "PUT", body: { spec }, suffix: "?dryRun=true" },
    { method: "PATCH", body: { spec } },
    { method: "PATCH", body: { spec: { wrong: 1 } } },
    { method: "PATCH", body: { spec }, suffix: "?fieldManager=files", headers: apply },
    { method: "DELETE" },
    { method: "DELETE", headers: { "if-match": '"3"' } },
    { method: "POST", suffix: `:${kind === "Node" ? "drain" : "nothing"}`, body: { wrong: 1 } },
  ];
}

test("what may not be known of is answered like what is not there, whatever is asked of it and whoever may make the like elsewhere", async () => {
  await using api = await startApi();
  const foreign: Partial<Record<KindName, object>> = {
    Project: { organisation: "theirs" },
    Site: { ...specs.Site, provider: "foreign" },
    Node: { site: hidden },
    JoinToken: { site: hidden },
    ApiToken: { role: "viewer", project: "foreign" },
    RoleBinding: { ...specs.RoleBinding, project: "foreign" },
  };
  await api.store.transact((tx) => {
    for (const name of ["acme", "theirs"]) tx.put(draft("Organisation", { name }, {}, {}));
    tx.put(draft("Project", { name: "ours" }, { organisation: "acme" }, {}));
    tx.put(draft("Project", { name: "foreign" }, { organisation: "theirs" }, {}));
    for (const name of ["own", "foreign"]) tx.put(draft("Provider", { name }, specs.Provider, { conditions: [] }));
    const scopes = { project: "ours", organisation: "acme", provider: "own" };
    for (const [scope, name] of Object.entries(scopes)) {
      tx.put(draft("User", { name: scope }, {}, {}));
      const subjects = [{ kind: "User", name: scope } as const];
      tx.put(draft("RoleBinding", { name: `at-${scope}` }, { role: "admin", subjects, [scope]: name }, {}));
    }
    for (const kind of zoneKinds) {
      const spec = foreign[kind] ?? (specs as Partial<Record<KindName, object>>)[kind] ?? {};
      tx.put(draft(kind, { name: hidden }, spec as never, { conditions: [] }));
    }
  });
  let asked = 0;
  for (const scope of ["project", "organisation", "provider"]) {
    const owner = { kind: "User", name: scope };
    const token = (await api.ask(api.admin, "PUT", `/api/v1/api-tokens/${scope}`, { spec: { owner } })).textAt(
      "secret",
    );
    for (const kind of zoneKinds) {
      const spec = foreign[kind] ?? (specs as Partial<Record<KindName, object>>)[kind] ?? {};
      for (const { method, suffix = "", body, headers } of tries(kind, spec)) {
        const answer = (name: string): Promise<Answer> =>
          api.ask(token, method, `/api/v1/${kinds[kind].plural}/${name}${suffix}`, body, headers);
        const [one, other] = [await answer(hidden), await answer(none)];
        const what = `${scope} ${method} ${kind}${suffix} ${JSON.stringify(body)}`;
        assert.ok(one.status >= 400, `${what}: ${one.text}`);
        assert.equal(
          `${one.status} ${one.text.replaceAll(hidden, "X")}`,
          `${other.status} ${other.text.replaceAll(none, "X")}`,
          what,
        );
        asked++;
      }
    }
  }
  assert.ok(asked > 300, `${asked}`);

  // Who may have it so is told that the name is taken, and no more: names of the zone are one for all.
  const owner = { kind: "User", name: "organisation" };
  const token = (await api.ask(api.admin, "PUT", "/api/v1/api-tokens/more", { spec: { owner } })).textAt("secret");
  const spec = { organisation: "acme" };
  const answer = await api.ask(token, "PUT", `/api/v1/projects/${hidden}`, { spec });
  assert.deepEqual([answer.status, answer.at("code")], [409, "already-exists"], answer.text);
  assert.match(answer.textAt("detail"), /^The name zqhidden is taken by another project\.$/);
  assert.equal((await api.ask(token, "PUT", `/api/v1/projects/${none}`, { spec })).status, 201);
});
