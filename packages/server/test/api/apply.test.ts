import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { documentJson } from "../../src/api/document.ts";
import { draft, specs, startApi, type Answer, type ApiHarness } from "./api-harness.ts";
import { plainIntents } from "./plain-intents.ts";

const instances = "/api/v1/projects/ours/instances";
const whole = { spec: specs.Instance };

describe("server-side apply", () => {
  let api: ApiHarness;

  before(async () => {
    api = await startApi();
    await api.ask(api.admin, "PUT", "/api/v1/projects/ours", { spec: specs.Project });
  });
  after(() => api[Symbol.asyncDispose]());

  const send = (path: string, query: string, body: unknown, token = api.admin) =>
    api.ask(token, "PATCH", `${path}${query}`, body, { "content-type": "application/apply-patch+json" });
  const applyAs = (manager: string, name: string, body: unknown, more = "") =>
    send(`${instances}/${name}`, `?fieldManager=${manager}${more}`, body);
  const read = (name: string) => api.ask(api.admin, "GET", `${instances}/${name}`);
  const patch = (name: string, body: unknown) => api.ask(api.admin, "PATCH", `${instances}/${name}`, body);
  const owners = (answer: Answer, prefix = ""): unknown => {
    const managers = (answer.at(`${prefix}metadata.managers`) ?? []) as readonly {
      manager: string;
      fields: string[];
    }[];
    return Object.fromEntries(managers.map(({ manager, fields }) => [manager, fields]));
  };

  test("makes what is not there, and then changes it; the same again is no change at all", async () => {
    const made = await applyAs("files", "made", whole);
    assert.deepEqual([made.status, made.at("result"), made.at("resource.metadata.madeBy")], [201, "created", "files"]);
    assert.equal(made.headers["location"], `${instances}/made`);
    assert.deepEqual(owners(made, "resource."), { files: ["/spec/image", "/spec/memoryMiB", "/spec/vcpus"] });
    const { revision } = api.store;
    const again = await applyAs("files", "made", whole);
    assert.deepEqual([again.status, again.at("result"), api.store.revision], [200, "unchanged", revision]);
    const changed = await applyAs("files", "made", { spec: { ...specs.Instance, vcpus: 2 } });
    assert.deepEqual([changed.at("result"), changed.at("resource.metadata.generation")], ["changed", 2]);
  });

  test("removes what its manager no longer names, but for what another has too", async () => {
    await applyAs("files", "left", {
      metadata: { labels: { a: "1", b: "1" } },
      spec: { ...specs.Instance, power: "stopped" },
    });
    await applyAs("other", "left", { metadata: { labels: { a: "1" } } });
    const less = await applyAs("files", "left", { metadata: { labels: {} }, spec: specs.Instance });
    assert.deepEqual(less.at("resource.metadata.labels"), { a: "1" });
    assert.equal(less.at("resource.spec.power"), undefined);
    const none = await applyAs("other", "left", {});
    assert.deepEqual(none.at("resource.metadata.labels"), {});
  });

  test("an object within the spec goes with its last field, and one that others have a field in stays", async () => {
    await applyAs("files", "nested", { spec: { ...specs.Instance, placement: { countries: ["ES"] } } });
    await applyAs("other", "nested", { spec: { placement: { architecture: "x86_64" } } });
    const fewer = await applyAs("files", "nested", whole);
    assert.deepEqual(fewer.at("resource.spec.placement"), { architecture: "x86_64" });
    const none = await applyAs("other", "nested", {});
    assert.equal(none.at("resource.spec.placement"), undefined);
  });

  test("refuses another value for another's field, with every such field, its owner and both ways out", async () => {
    await applyAs("files", "torn", {
      metadata: { labels: { tier: "web" } },
      spec: { ...specs.Instance, power: "stopped" },
    });
    const { revision } = api.store;
    const wish = { metadata: { labels: { tier: "db", own: "yes" } }, spec: { vcpus: 4, memoryMiB: 64 } };
    const refused = await applyAs("other", "torn", wish);
    assert.deepEqual([refused.status, refused.at("code"), api.store.revision], [409, "conflict", revision]);
    assert.deepEqual(refused.at("facts.conflicts"), [
      { path: "/metadata/labels/tier", owners: ["files"], value: "web", wanted: "db" },
      { path: "/spec/vcpus", owners: ["files"], value: 1, wanted: 4 },
    ]);
    assert.deepEqual(refused.each("errors", "path"), ["/metadata/labels/tier", "/spec/vcpus"]);
    assert.match(refused.textAt("errors.1.message"), /is 1 by files, and 4 by other/);
    assert.match(refused.textAt("remedy"), /Leave these fields out.*force=true/);

    const forced = await applyAs("other", "torn", wish, "&force=true");
    assert.equal(forced.at("resource.spec.vcpus"), 4);
    assert.deepEqual(owners(forced, "resource."), {
      files: ["/spec/image", "/spec/memoryMiB", "/spec/power"],
      other: ["/metadata/labels/own", "/metadata/labels/tier", "/spec/memoryMiB", "/spec/vcpus"],
    });
    const back = await applyAs("files", "torn", whole);
    assert.deepEqual(back.each("facts.conflicts", "path"), ["/spec/vcpus"]);
  });

  test("whoever writes without naming a manager counts as one, called api", async () => {
    await api.ask(api.admin, "PUT", `${instances}/plain`, whole);
    assert.equal((await read("plain")).at("metadata.managers"), undefined);
    const refused = await applyAs("files", "plain", { spec: { vcpus: 2 } });
    assert.deepEqual(refused.at("facts.conflicts.0.owners"), ["api"]);
    const shared = await applyAs("files", "plain", { spec: { vcpus: 1 } });
    assert.deepEqual(owners(shared, "resource."), { api: ["/spec/vcpus"], files: ["/spec/vcpus"] });
    const released = await applyAs("files", "plain", {});
    assert.deepEqual([released.at("resource.spec.vcpus"), released.at("resource.metadata.managers")], [1, undefined]);

    await applyAs("files", "plain", { metadata: { labels: { a: "1" } }, spec: { power: "stopped", networks: ["x"] } });
    await patch("plain", { metadata: { labels: { a: "2" } }, spec: { networks: null } });
    assert.deepEqual(owners(await read("plain")), { files: ["/spec/power"] });
    await api.ask(api.admin, "PUT", `${instances}/plain`, { spec: { ...specs.Instance, power: "running" } });
    assert.deepEqual(owners(await read("plain")), {});
    assert.equal((await applyAs("api", "plain", {})).status, 400);
  });

  test("who owns a field alone raises no generation, and is not asked of the kind's rules", async () => {
    const made = await applyAs("files", "shared", whole);
    const before = made.at("resource.metadata.generation");
    const shared = await applyAs("other", "shared", whole);
    assert.deepEqual([shared.at("result"), shared.at("resource.metadata.generation")], ["unchanged", before]);
    assert.ok(Number(shared.at("resource.metadata.revision")) > Number(made.at("resource.metadata.revision")));
    assert.deepEqual(Object.keys(owners(shared, "resource.") as object), ["files", "other"]);
  });

  test("what an action changes is api's from then on", async () => {
    const intents = {
      ...plainIntents,
      Instance: {
        ...plainIntents.Instance,
        actions: {
          stop: {
            ...plainIntents.Instance.actions["restart"],
            run: (tx, instance) => ({
              resource: tx.put({ ...instance, spec: { ...instance.spec, power: "stopped" } }),
            }),
          } as (typeof plainIntents.Instance.actions)[string],
        },
      },
    };
    await using other = await startApi(() => ({ intents }));
    await other.ask(other.admin, "PUT", "/api/v1/projects/ours", { spec: specs.Project });
    const again = () =>
      other.ask(
        other.admin,
        "PATCH",
        `${instances}/on?fieldManager=files`,
        { spec: { ...specs.Instance, power: "running" } },
        {
          "content-type": "application/apply-patch+json",
        },
      );
    await again();
    await other.ask(other.admin, "POST", `${instances}/on:stop`, {});
    const refused = await again();
    assert.deepEqual(refused.at("facts.conflicts"), [
      { path: "/spec/power", owners: ["api"], value: "stopped", wanted: "running" },
    ]);
  });

  test("a list, and what has several forms, is one field", async () => {
    const keep = { spec: { ...specs.Instance, networks: ["a", "b"], onDisconnect: "keep" } };
    await applyAs("files", "atomic", keep);
    const wish = { spec: { networks: ["a"], onDisconnect: { replaceAfterSeconds: 60 } } };
    const refused = await applyAs("other", "atomic", wish);
    assert.deepEqual(refused.each("facts.conflicts", "path"), ["/spec/networks", "/spec/onDisconnect"]);
    const forced = await applyAs("other", "atomic", wish, "&force=true");
    assert.deepEqual(forced.at("resource.spec.networks"), ["a"]);
  });

  test("a key within a provider is shared where it is the same, and never told in a conflict", async () => {
    const provider = (privateKey: string) => ({
      spec: { driver: "ssh", country: "ES", ssh: { user: "root", privateKey } },
    });
    const path = "/api/v1/providers/keyed";
    await send(path, "?fieldManager=files", provider("KEY ONE"));
    assert.equal((await send(path, "?fieldManager=other", provider("KEY ONE"))).at("result"), "unchanged");
    assert.equal((await send(path, "?fieldManager=files", provider("(sealed)"))).at("result"), "unchanged");
    const refused = await send(path, "?fieldManager=other", provider("KEY TWO"));
    assert.deepEqual(refused.each("facts.conflicts", "path"), ["/spec/ssh/privateKey"]);
    const stored = api.store.get("Provider", { name: "keyed" })?.spec.ssh?.privateKey ?? "";
    assert.ok(stored.length > 20 && !refused.text.includes(stored) && !refused.text.includes("KEY"), refused.text);
  });

  test("says who applies, and refuses what is no wish", async () => {
    const bad: readonly (readonly [string, unknown])[] = [
      ["", whole],
      ["?fieldManager=a%20b", whole],
      [`?fieldManager=${"a".repeat(64)}`, whole],
      ["?fieldManager=__proto__", whole],
      ["?fieldManager=files&force=yes", whole],
      ["?fieldManager=files", { spec: { vcpu: 1 } }],
      ["?fieldManager=files", { spec: { vcpus: null } }],
      ["?fieldManager=files", { metadata: { name: "another" }, spec: specs.Instance }],
      ["?fieldManager=files", { spec: { vcpus: 1 } }],
    ];
    for (const [query, body] of bad)
      assert.equal((await send(`${instances}/refused`, query, body)).status, 400, `${query} ${JSON.stringify(body)}`);
    const merge = await api.ask(api.admin, "PATCH", `${instances}/made?fieldManager=files`, {});
    assert.match(merge.textAt("remedy"), /application\/apply-patch\+json/);
    await applyAs("files", "needed", whole);
    const given = await applyAs("files", "needed", { spec: { vcpus: 1, memoryMiB: 64 } });
    assert.equal(given.status, 400);
    assert.match(given.textAt("remedy"), /files alone had \/spec\/image/);
    // A manager called as a method of objects is one like any other.
    assert.equal((await applyAs("constructor", "needed", { metadata: { labels: { constructor: "x" } } })).status, 200);
  });

  test("is for who may both make and change, in a plan too", async () => {
    await applyAs("files", "permitted", whole);
    const policies = (...verbs: readonly string[]) =>
      verbs.map((verb) => `permit (principal, action == Skerry::Action::"${verb}", resource);`).join("\n");
    const statuses: unknown[] = [];
    for (const [role, ...verbs] of [
      ["patches", "read", "patch"],
      ["puts", "read", "put"],
      ["both", "read", "put", "patch"],
    ] as const) {
      await api.store.transact((tx) => tx.put(draft("Role", { name: role }, { policies: policies(...verbs) }, {})));
      const token = await api.token(role, role);
      const wish = { metadata: { labels: { [role]: "1" } } };
      const resource = { kind: "Instance", metadata: { name: "permitted", project: "ours", ...wish.metadata } };
      const planned = { fieldManager: role, resources: [resource] };
      statuses.push([
        role,
        (await send(`${instances}/permitted`, `?fieldManager=${role}`, wish, token)).status,
        (await api.ask(token, "POST", "/api/v1/plan", planned)).status,
      ]);
    }
    assert.deepEqual(statuses, [
      ["patches", 403, 403],
      ["puts", 403, 403],
      ["both", 200, 200],
    ]);
  });

  test("takes If-Match and a dry run like any other change", async () => {
    await applyAs("files", "guarded", whole);
    const late = await api.ask(api.admin, "PATCH", `${instances}/guarded?fieldManager=files`, whole, {
      "content-type": "application/apply-patch+json",
      "if-match": '"1"',
    });
    assert.equal(late.status, 412);
    const { revision } = api.store;
    const rehearsed = await applyAs("other", "guarded", { metadata: { labels: { a: "1" } } }, "&dryRun=true");
    assert.deepEqual(rehearsed.each("plan", "type"), ["updated"]);
    assert.deepEqual(rehearsed.at("plan.0.diff"), [{ path: "/metadata/labels/a", after: "1" }]);
    assert.equal((await applyAs("other", "guarded", { spec: { vcpus: 3 } }, "&dryRun=true")).status, 409);
    assert.equal(api.store.revision, revision);
  });

  test("of several that apply at once each sees what the others did, and one of two that disagree is refused", async () => {
    await applyAs("files", "raced", whole);
    const answers = await Promise.all([
      ...["a", "b", "c"].map((one) => applyAs(one, "raced", { metadata: { labels: { [one]: "1" } } })),
      ...["x", "y"].map((power) => applyAs(power, "raced", { spec: { power: power === "x" ? "running" : "stopped" } })),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 200, 200, 200, 409],
    );
    assert.deepEqual((await read("raced")).at("metadata.labels"), { a: "1", b: "1", c: "1" });
  });

  test("keeps no more managers than it says", async () => {
    await applyAs("files", "crowded", whole);
    for (let index = 1; index < 16; index++) await applyAs(`m${index}`, "crowded", { spec: { vcpus: 1 } });
    const more = await applyAs("m16", "crowded", { spec: { vcpus: 1 } });
    assert.deepEqual([more.status, more.at("code")], [409, "conflict"]);
    assert.equal((await applyAs("m15", "crowded", {})).status, 200);
    assert.equal((await applyAs("m16", "crowded", { spec: { vcpus: 1 } })).status, 200);
  });

  test("lists tell what an apply by a manager has made", async () => {
    const all = await api.ask(api.admin, "GET", `${instances}?madeBy=files&limit=2000`);
    const names = all.each("items", "metadata.name");
    assert.ok(names.includes("made") && !names.includes("plain"), all.text);
    const none = await api.ask(api.admin, "GET", `${instances}?madeBy=other`);
    assert.deepEqual(none.at("items"), []);
    const page = await api.ask(api.admin, "GET", `${instances}?madeBy=files&limit=1`);
    const next = await api.ask(
      api.admin,
      "GET",
      `${instances}?madeBy=files&limit=1&cursor=${page.textAt("nextCursor")}`,
    );
    assert.deepEqual(
      [...page.each("items", "metadata.name"), ...next.each("items", "metadata.name")],
      names.slice(0, 2),
    );
  });

  test("no manager's name counterfeits what replies find in an object's bytes", async () => {
    const fields = { metadata: { labels: { conditions: "1", seenAt: "1" } } };
    await api.ask(api.admin, "PUT", `${instances}/named`, whole);
    for (const manager of ["conditions", "seenAt"]) await applyAs(manager, "named", fields);
    const document = api.store.documents.document("Instance", { project: "ours", name: "named" });
    if (document === undefined) return assert.fail();
    const silent = { type: "Reachable", state: "unknown", reason: "NodeSilent", changedAt: "" } as const;
    const { id, key, revision, json: stored } = document;
    const onNode = { id, key, revision, nodeId: "nod_1", json: stored, object: () => document.object() };
    const json = documentJson(onNode, { seenAtMs: () => undefined, unreachable: () => silent });
    const shown = JSON.parse(Buffer.from(json).toString("utf8")) as { metadata: unknown; status: object };
    const { metadata, status } = document.object();
    assert.deepEqual(shown.metadata, metadata);
    assert.deepEqual(shown.status, { ...status, conditions: [silent] });
  });

  test("what is being deleted is not applied", async () => {
    await applyAs("files", "going", whole);
    await api.store.transact((tx) => {
      const going = tx.get("Instance", { project: "ours", name: "going" });
      if (going === undefined) throw new SkerryError("not-found", "going");
      tx.put({ ...going, metadata: { ...going.metadata, deletedAt: new Date().toISOString() } });
    });
    assert.equal((await applyAs("other", "going", whole)).at("code"), "conflict");
  });
});
