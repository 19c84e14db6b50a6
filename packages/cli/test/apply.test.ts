import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { kindNames, type KindName, type ResourceOf } from "@skerry/model";
import type { PlannedChange } from "@skerry/sdk";
import { startZone, type Zone } from "./zone.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));

type Files = Readonly<Record<string, object>>;
type Snapshot = ReadonlyMap<string, { readonly labels: object; readonly spec: object }>;

interface Plan {
  readonly changes: readonly PlannedChange[];
  readonly unchanged: readonly object[];
  readonly totals: Readonly<Record<"create" | "change" | "delete" | "unchanged", number>>;
}

/* Folders of files, applied by the command as its user types it to a server in a process of its own with two simulated nodes. */
describe("a folder that is applied", { timeout: 300_000 }, () => {
  let zone: Zone;
  before(async () => {
    zone = await startZone(50_000);
  });
  after(() => zone.close());

  async function skerry(
    ...words: readonly string[]
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...zone.environment, NO_COLOR: "1" },
    });
    const [out, err] = await Promise.all([
      child.stdout.setEncoding("utf8").toArray(),
      child.stderr.setEncoding("utf8").toArray(),
      once(child, "close"),
    ]);
    return { code: child.exitCode ?? -1, out: out.join(""), err: err.join("") };
  }

  async function folderOf(name: string, files: Files): Promise<string> {
    const folder = join(zone.folder, name);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    for (const [file, content] of Object.entries(files))
      await writeFile(join(folder, `${file}.json`), JSON.stringify(content));
    return folder;
  }
  const run = async (...words: readonly string[]): Promise<string> => {
    const { code, out, err } = await skerry(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${err}`);
    return out;
  };
  const apply = async (folder: string, ...more: readonly string[]): Promise<string> => {
    const { code, err } = await skerry("apply", "-f", folder, ...more);
    assert.equal(code, 0, err);
    return err;
  };
  const planOf = async (folder: string, ...more: readonly string[]): Promise<{ code: number; plan: Plan }> => {
    const { code, out, err } = await skerry("apply", "-f", folder, "--plan", "-o", "json", ...more);
    assert.ok(code === 0 || code === 2, err);
    return { code, plan: JSON.parse(out) as Plan };
  };

  /** Written by the server alone, or with an instance: operations, what was used, and the instance's own volume. */
  const unwritten: ReadonlySet<KindName> = new Set(["Operation", "Meter", "Volume"]);

  /** What clients wrote of everything. */
  async function snapshot(): Promise<Snapshot> {
    const lists = await Promise.all(
      kindNames
        .filter((kind) => !unwritten.has(kind))
        .map((kind): Promise<readonly ResourceOf<KindName>[]> => zone.client.listAll(kind)),
    );
    return new Map(
      lists
        .flat()
        .map(({ kind, metadata: { project = "", name, labels }, spec }) => [
          `${kind} ${project}/${name}`,
          { labels, spec },
        ]),
    );
  }

  /** What came to be different, told as a plan tells it. */
  function changesBetween(
    was: Snapshot,
    is: Snapshot,
  ): Map<string, { type: string; fields: Map<string, readonly unknown[]> }> {
    const changes = new Map<string, { type: string; fields: Map<string, readonly unknown[]> }>();
    for (const name of new Set([...was.keys(), ...is.keys()])) {
      const [before, after] = [was.get(name), is.get(name)];
      const fields = new Map<string, readonly unknown[]>();
      const compare = (one: unknown, other: unknown, path: string): void => {
        if (isDeepStrictEqual(one, other)) return;
        const [left, right] = [one, other].map((value) =>
          typeof value === "object" && value !== null && !Array.isArray(value)
            ? (value as Record<string, unknown>)
            : undefined,
        );
        const isTree = (left !== undefined || one === undefined) && (right !== undefined || other === undefined);
        const keys = new Set([...Object.keys(left ?? {}), ...Object.keys(right ?? {})]);
        if (!isTree || keys.size === 0) fields.set(path, [one, other]);
        else for (const key of keys) compare(left?.[key], right?.[key], `${path}/${key.replace("/", "~1")}`);
      };
      compare(before?.spec, after?.spec, "/spec");
      compare(before?.labels, after?.labels, "/metadata/labels");
      const type = before === undefined ? "created" : after === undefined ? "deleted" : "updated";
      if (type !== "updated" || fields.size > 0)
        changes.set(name, { type, fields: type === "deleted" ? new Map<string, readonly unknown[]>() : fields });
    }
    return changes;
  }
  const told = ({ changes }: Plan): ReturnType<typeof changesBetween> =>
    new Map(
      changes.map(({ kind, project = "", name, type, diff }) => {
        const fields = diff
          .filter(({ path }) => /^\/(spec|metadata\/labels)(\/|$)/.test(path))
          .map(({ path, before, after }) => [path, [before, after]] as const);
        return [`${kind} ${project}/${name}`, { type, fields: new Map(type === "deleted" ? [] : fields) }];
      }),
    );

  const shop = {
    organisation: { kind: "Organisation", metadata: { name: "trade" }, spec: { displayName: "Trade" } },
    project: { kind: "Project", metadata: { name: "shop", labels: { team: "web" } }, spec: { organisation: "trade" } },
    network: { kind: "Network", metadata: { name: "front", project: "shop" }, spec: { cidr: "10.9.0.0/24" } },
    image: (size: number) => ({
      kind: "Image",
      metadata: { name: "thing", project: "shop" },
      spec: {
        digest: `sha256:${"1".repeat(64)}`,
        sizeBytes: size,
        format: "raw",
        architecture: "x86_64",
        virtualSizeMiB: 1,
      },
    }),
    web: (name: string, spec: object = {}) => ({
      kind: "Instance",
      metadata: { name, project: "lab" },
      spec: { vcpus: 1, memoryMiB: 64, image: "disk", networks: ["back"], ...spec },
    }),
    back: { kind: "Network", metadata: { name: "back", project: "lab" }, spec: { cidr: "10.8.0.0/24" } },
  };
  const set = ["--field-manager", "shop"] as const;
  const pruned = [...set, "--prune", "--yes"] as const;

  test("comes true as its plan said, change after change, and applied again it is no change", async () => {
    const { organisation, project, network, image, web, back } = shop;
    const rounds: readonly Files[] = [
      { organisation, project, network, back, web: web("web") },
      {
        organisation: { ...organisation, spec: {} },
        project,
        network: { ...network, spec: { ...network.spec, egress: true } },
        back,
        web: web("web"),
      },
      {
        organisation,
        project: { ...project, metadata: { name: "shop", labels: { team: "sea", "a/b": "" } } },
        network,
        image: image(7),
        back,
        web: web("web", { power: "stopped", placement: { countries: ["ES"] } }),
        other: web("other"),
      },
      { organisation, project, network, back, other: web("other", { power: "stopped" }) },
      { organisation, project, back },
    ];
    for (const [index, files] of rounds.entries()) {
      const folder = await folderOf("rounds", files);
      const was = await snapshot();
      const { code, plan } = await planOf(folder, ...pruned);
      assert.deepEqual(await snapshot(), was);
      assert.equal(code, 2);
      await apply(folder, ...pruned, "--wait");
      const done = changesBetween(was, await snapshot());
      assert.deepEqual(told(plan), done, `round ${index}`);
      assert.equal(
        plan.totals.unchanged,
        Object.keys(files).length - [...done.values()].filter(({ type }) => type !== "deleted").length,
      );
      if (index < 2) continue;
      const { revision } = await zone.client.list("Project");
      const again = await planOf(folder, ...pruned);
      assert.deepEqual([again.code, again.plan.changes], [0, []]);
      assert.ok(!/ (created|changed|pruned)/.test(await apply(folder, ...pruned)));
      const objects = await Promise.all(
        (["Project", "Network", "Image"] as const).map((kind) => zone.client.listAll(kind)),
      );
      assert.ok(objects.flat().every(({ metadata }) => metadata.revision <= revision));
    }
  });

  test("prunes what its manager made and the files no longer describe, those first that others stand on", async () => {
    const bot = { kind: "ServiceAccount", name: "bot", project: "lab" };
    const account = { kind: bot.kind, metadata: { name: bot.name, project: bot.project }, spec: {} };
    const token = { kind: "ApiToken", metadata: { name: "bot" }, spec: { owner: bot } };
    const everything = { ...shop, token, account, image: shop.image(7), web: shop.web("web") };
    await apply(await folderOf("all", everything), ...set, "--wait");
    const organisation = { kind: "Organisation", metadata: { name: "rest" }, spec: {} };
    const rest = await folderOf("rest", { organisation });
    const text = await skerry("apply", "-f", rest, "--plan", ...set, "--prune");
    assert.deepEqual(text.out.match(/^- .*$/gm), [
      "- ApiToken bot",
      "- ServiceAccount lab/bot",
      "- Instance lab/web",
      "- Network lab/back",
      "- Network shop/front",
      "- Image shop/thing",
      "- Project shop",
      "- Organisation trade",
    ]);
    assert.match(text.out, /Plan: 1 to create, 0 to change, 8 to delete, 0 unchanged\./);
    const said = await apply(rest, ...pruned);
    assert.deepEqual(said.match(/^[-a-z]+ \w+ pruned/gm)?.length, 8, said);
    await assert.rejects(zone.client.get("Organisation", { name: "trade" }), { code: "not-found" });
    await assert.rejects(zone.client.get("Instance", { project: "lab", name: "web" }), { code: "not-found" });
    assert.equal((await zone.client.get("Network", { project: "lab", name: "lan" })).spec.cidr, "10.42.0.0/24");
  });

  test("prunes nothing that it did not make, that another has fields of, or that lacks the label", async () => {
    const named = (name: string, labels: Record<string, string> = {}) => ({
      kind: "Organisation",
      metadata: { name, labels },
      spec: {},
    });
    const { client } = zone;
    const mine = { set: "mine" };
    // Made by hand, with the label, and then applied by the manager.
    await client.put("Organisation", { name: "by-hand" }, { spec: { displayName: "Hand" }, labels: mine });
    const adopted = { ...named("by-hand", mine), spec: { displayName: "Hand" } };
    await apply(
      await folderOf("one", { adopted, a: named("shared", mine), b: named("gone", mine), c: named("other-label") }),
      "--field-manager",
      "keeper",
    );
    await apply(
      await folderOf("two", { a: named("shared", { also: "1" }), d: named("foreign", mine) }),
      "--field-manager",
      "someone",
    );
    const none = await folderOf("none", {});
    const { err } = await skerry(
      "apply",
      "-f",
      none,
      "--field-manager",
      "keeper",
      "--prune",
      "--yes",
      "--label",
      "set=mine",
    );
    assert.match(err, /Organisation shared stays: someone has fields of it/);
    const left = (await client.listAll("Organisation")).map(({ metadata }) => metadata.name);
    assert.deepEqual(
      ["by-hand", "foreign", "gone", "other-label", "shared"].filter((name) => left.includes(name)),
      ["by-hand", "foreign", "other-label", "shared"],
    );
    // Without the label all that the manager made belongs to it, and still nothing else.
    await apply(none, "--field-manager", "keeper", "--prune", "--yes");
    const rest = (await client.listAll("Organisation")).map(({ metadata }) => metadata.name);
    assert.ok(
      ["by-hand", "foreign", "shared"].every((name) => rest.includes(name)) && !rest.includes("other-label"),
      rest.join(),
    );
  });

  test("a plan says by its exit code whether anything would change, and an error is never taken for a change", async () => {
    const file = join(zone.folder, "sea.yaml");
    await writeFile(file, "kind: Organisation\nmetadata: {name: sea}\nspec: {displayName: Sea}");
    const plan = (...more: readonly string[]) => skerry("apply", "-f", file, "--plan", ...more);
    const first = await plan();
    assert.equal(first.code, 2, first.err);
    assert.match(
      first.out,
      /^\+ Organisation sea\n    spec\.displayName  "Sea"\nPlan: 1 to create, 0 to change, 0 to delete, 0 unchanged\.\n$/,
    );
    assert.match((await skerry("apply", "-f", file)).err, /organisation sea created/);
    assert.match((await skerry("apply", "-f", file)).err, /organisation sea unchanged/);
    assert.deepEqual((({ code, out }) => ({ code, last: out.trim().split("\n").at(-1) }))(await plan()), {
      code: 0,
      last: "Nothing would change: 0 to create, 0 to change, 0 to delete, 1 unchanged.",
    });
    await writeFile(file, "kind: Organisation\nmetadata: {name: sea}\nspec: {displayname: Sea}");
    assert.deepEqual([(await plan()).code, (await skerry("apply", "-f", file)).code], [1, 2]);
    await writeFile(file, "kind: Organisation\nmetadata: {name: sea}\nspec: {displayName: Bay}");
    assert.equal((await plan("--field-manager", "other")).code, 5);
    const value = JSON.parse((await plan("-o", "json")).out) as { totals: object; changes: { diff: object }[] };
    assert.deepEqual(value.totals, { create: 0, change: 1, delete: 0, unchanged: 0 });
    assert.deepEqual(value.changes[0]?.diff, [{ path: "/spec/displayName", before: "Sea", after: "Bay" }]);
  });

  test("a field that another manager has is told with both ways out, and taken over only by force", async () => {
    const file = join(zone.folder, "torn.yaml");
    await writeFile(file, "kind: Organisation\nmetadata: {name: torn, labels: {tier: a}}\nspec: {displayName: One}");
    await run("apply", "-f", file);
    await writeFile(file, "kind: Organisation\nmetadata: {name: torn}\nspec: {displayName: Two}");
    const refused = await skerry("apply", "-f", file, "--field-manager", "other");
    assert.equal(refused.code, 5);
    assert.match(
      refused.err,
      /torn\.yaml, document 1[\s\S]*spec\.displayName is "One" by skerry-cli, and "Two" by other[\s\S]*--force-conflicts/,
    );
    await run("apply", "-f", file, "--field-manager", "other", "--force-conflicts");
    const { spec, metadata } = await zone.client.get("Organisation", { name: "torn" });
    assert.deepEqual([spec, metadata.labels], [{ displayName: "Two" }, { tier: "a" }]);
    assert.match(await run("organisation", "show", "torn"), /managers:/);
    assert.doesNotMatch(await run("organisation", "list"), /skerry-cli/);
  });

  test("what is to be pruned is said by a manager or a label of its own, and nothing goes where nobody can be asked", async () => {
    const file = join(zone.folder, "few.yaml");
    await writeFile(file, "kind: Organisation\nmetadata: {name: few}\nspec: {}");
    const refusal = async (...more: readonly string[]) => (await skerry("apply", "-f", file, ...more)).err;
    assert.match(
      await refusal("--prune"),
      /does not say what belongs together[\s\S]*--field-manager NAME[\s\S]*--label/,
    );
    assert.match(await refusal("--label", "a=b"), /there is no --prune/);
    assert.match(
      await refusal("--prune", "--label", "a=b"),
      /few\.yaml, document 1: Organisation few lacks the label a=b/,
    );
    await assert.rejects(zone.client.get("Organisation", { name: "few" }), { code: "not-found" });
    await writeFile(file, "kind: Organisation\nmetadata: {name: old}\nspec: {}");
    await run("apply", "-f", file, "--field-manager", "few");
    await writeFile(file, "kind: Organisation\nmetadata: {name: few}\nspec: {}");
    assert.match(
      await refusal("--prune", "--field-manager", "few"),
      /would delete 1 resources, and nobody can be asked/,
    );
    await assert.rejects(zone.client.get("Organisation", { name: "few" }), { code: "not-found" });
    await writeFile(file, "kind: Organisation\nmetadata: {name: few}\n---\nkind: Organisation\nmetadata: {name: few}");
    assert.match(await refusal(), /Organisation few is described twice/);
  });
});
