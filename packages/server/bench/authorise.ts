/**
 * What a decision costs with 10,000 role bindings in force: of callers who ask for the first time since the last change of rights, and of
 * those who ask again; beside it, in the same run, one question to Cedar itself about one role. Keeps its figures in
 * bench/results/authorise.json.
 *
 *   ./skerry bench authorise [--bindings 10000] [--decisions 200000] [--json]
 */
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { kindNames, kinds, makeId, type ApiTokenResource, type KindName, type ResourceOf } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";
import { describeMachine, seededRandom } from "@skerry/testkit";
import { makeDraft } from "../src/api/draft.ts";
import { decide } from "../src/authorisation/authorise.ts";
import { RightsIndex } from "../src/authorisation/rights-index.ts";
import { verbs } from "../src/authorisation/verbs.ts";

const { values } = parseArgs({
  options: {
    bindings: { type: "string", default: "10000" },
    decisions: { type: "string", default: "200000" },
    json: { type: "boolean", default: false },
  },
});
const [bindings, decisions] = [Number(values.bindings), Number(values.decisions)];
const [users, groups, projects, organisations] = [2000, 200, 1000, 50];
const roles = ["viewer", "operator", "admin", "custom"];
const random = seededRandom(1);
const below = (count: number): number => Math.floor(random() * count);

const folder = mkdtempSync(join(tmpdir(), "skerry-bench-authorise-"));
const store = await openSqliteStore({ path: join(folder, "state.db") });
let serial = 0;
function draft<K extends KindName>(kind: K, name: string, spec: ResourceOf<K>["spec"]): ResourceOf<K> {
  const random10 = Buffer.alloc(10);
  random10.writeUInt32BE(++serial);
  const id = makeId(kinds[kind].prefix, 0, random10);
  return makeDraft(kind, id, { name }, { spec, labels: {}, status: {} }, 0);
}
await store.transact((tx) => {
  tx.put(draft("Role", "custom", { policies: `permit (principal, action, resource is Skerry::Volume);` }));
  for (let index = 0; index < projects; index++)
    tx.put(draft("Project", `p${index}`, { organisation: `o${index % organisations}` }));
  for (let index = 0; index < users; index++) tx.put(draft("User", `u${index}`, {}));
  for (let index = 0; index < groups; index++) {
    const members = Array.from({ length: 20 }, () => `u${below(users)}`);
    tx.put(draft("Group", `g${index}`, { members: [...new Set(members)] }));
  }
  for (let index = 0; index < bindings; index++) {
    const subject =
      index % 4 === 0
        ? { kind: "Group" as const, name: `g${below(groups)}` }
        : { kind: "User" as const, name: `u${below(users)}` };
    const scope = index % 10 === 0 ? { organisation: `o${below(organisations)}` } : { project: `p${below(projects)}` };
    tx.put(
      draft("RoleBinding", `b${index}`, { role: roles[below(roles.length)] ?? "", subjects: [subject], ...scope }),
    );
  }
});

const rights = new RightsIndex(store);
const tokens = Array.from({ length: users }, (_, index) =>
  draft("ApiToken", `t${index}`, { owner: { kind: "User", name: `u${index}` } }),
);

/** Microseconds of each decision, its caller's rights included, as a request pays them. */
function measure(count: number, tokenAt: (index: number) => ApiTokenResource | undefined) {
  const tookUs: number[] = [];
  let allowed = 0;
  for (let index = 0; index < count; index++) {
    const token = tokenAt(index);
    const [verb, kind] = [verbs[below(verbs.length)] ?? "read", kindNames[below(kindNames.length)] ?? "Instance"];
    const project = `p${below(projects)}`;
    if (token === undefined) continue;
    const startMs = performance.now();
    const given = rights.of(token);
    const decision =
      given === undefined ? "hidden" : decide({ name: "", tokenId: "", rights: given }, verb, kind, { project });
    tookUs.push((performance.now() - startMs) * 1000);
    if (decision === "allowed") allowed += 1;
  }
  tookUs.sort((one, other) => one - other);
  const at = (share: number): number => Number((tookUs[Math.floor(tookUs.length * share)] ?? 0).toFixed(2));
  return { decisions: tookUs.length, allowed, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1 - 1e-9) };
}

const firstTable = measure(100, (index) => tokens[index]);
const first = measure(users, (index) => tokens[index]);
const again = measure(decisions, () => tokens[below(users)]);
const cedar = measureCedar();
const figures = {
  bindings,
  againP50Us: again.p50Us,
  againP99Us: again.p99Us,
  firstP50Us: first.p50Us,
  firstP99Us: first.p99Us,
  tablesMaxUs: firstTable.maxUs,
  cedarP50Us: cedar.p50Us,
  cedarP99Us: cedar.p99Us,
};

/** One question to Cedar about one parsed role, with one resource. */
function measureCedar() {
  const { preparsePolicySet, statefulIsAuthorized } = createRequire(import.meta.url)(
    "@cedar-policy/cedar-wasm/nodejs",
  ) as typeof import("@cedar-policy/cedar-wasm/nodejs");
  preparsePolicySet("bench", {
    staticPolicies: `permit (principal, action, resource) when { resource.scope == "project" };`,
  });
  const tookUs: number[] = [];
  for (let index = 0; index < 5000; index++) {
    const startMs = performance.now();
    const resource = { type: "Skerry::Volume", id: "any" };
    statefulIsAuthorized({
      principal: { type: "Skerry::Caller", id: "any" },
      action: { type: "Skerry::Action", id: "read" },
      resource,
      context: {},
      preparsedPolicySetId: "bench",
      entities: [{ uid: resource, attrs: { scope: "project" }, parents: [] }],
    });
    tookUs.push((performance.now() - startMs) * 1000);
  }
  tookUs.sort((one, other) => one - other);
  const at = (share: number): number => Number((tookUs[Math.floor(tookUs.length * share)] ?? 0).toFixed(2));
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

rights.close();
await store.close();
rmSync(folder, { recursive: true, force: true });
const results = join(import.meta.dirname, "../../../bench/results");
mkdirSync(results, { recursive: true });
const report = {
  benchmark: "authorise",
  date: new Date().toISOString(),
  machine: describeMachine(),
  loadAverage: loadavg(),
  figures,
  raw: { firstTable, first, again, cedar },
};
writeFileSync(join(results, "authorise.json"), `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(
  values.json
    ? `${JSON.stringify(figures)}\n`
    : Object.entries(figures)
        .map(([name, value]) => `${name.padEnd(16)} ${value}\n`)
        .join(""),
);
