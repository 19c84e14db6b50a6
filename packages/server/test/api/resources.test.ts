import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { specs, startApi, type ApiHarness, type Answer } from "./api-harness.ts";

const instances = "/api/v1/projects/ours/instances";

describe("resources", () => {
  let api: ApiHarness;
  const ask: ApiHarness["ask"] = (...question) => api.ask(...question);
  before(async () => {
    api = await startApi();
    assert.equal((await ask(api.admin, "PUT", "/api/v1/projects/ours", { spec: specs.Project })).status, 201);
  });
  after(() => api[Symbol.asyncDispose]());

  test("PUT creates with 201, ETag and Location, and replaces with 200", async () => {
    const created = await ask(api.admin, "PUT", `${instances}/web`, { spec: specs.Instance });
    assert.equal(created.status, 201);
    assert.equal(created.headers["location"], `${instances}/web`);
    assert.equal(created.headers["etag"], `"${String(created.at("resource.metadata.revision"))}"`);
    assert.deepEqual(
      ["name", "project", "generation"].map((field) => created.at(`resource.metadata.${field}`)),
      ["web", "ours", 1],
    );

    const replaced = await ask(api.admin, "PUT", `${instances}/web`, { spec: { ...specs.Instance, vcpus: 2 } });
    assert.equal(replaced.status, 200);
    assert.equal(replaced.at("resource.metadata.id"), created.at("resource.metadata.id"));
    assert.equal(replaced.at("resource.metadata.generation"), 2);
    assert.equal((await ask(api.admin, "GET", `${instances}/web`)).headers["etag"], replaced.headers["etag"]);
  });

  test("PUT of what is there already changes nothing", async () => {
    const once = await ask(api.admin, "PUT", `${instances}/same`, {
      spec: specs.Instance,
      metadata: { labels: { a: "1" } },
    });
    const { revision } = api.store;
    const again = await ask(api.admin, "PUT", `${instances}/same`, { spec: specs.Instance });
    assert.equal(again.status, 200);
    assert.equal(again.headers["etag"], once.headers["etag"]);
    assert.equal(api.store.revision, revision);
  });

  test("PATCH merges spec and labels, keeps the generation where only labels change", async () => {
    await ask(api.admin, "PUT", `${instances}/patched`, {
      spec: { ...specs.Instance, power: "stopped" },
      metadata: { labels: { a: "1", b: "2" } },
    });
    const labelled = await ask(api.admin, "PATCH", `${instances}/patched`, {
      metadata: { labels: { a: null, c: "3" } },
    });
    assert.deepEqual(labelled.at("resource.metadata.labels"), { b: "2", c: "3" });
    assert.equal(labelled.at("resource.metadata.generation"), 1);
    const changed = await ask(api.admin, "PATCH", `${instances}/patched`, { spec: { power: null, vcpus: 4 } });
    assert.deepEqual(changed.at("resource.spec"), { ...specs.Instance, vcpus: 4 });
    assert.equal(changed.at("resource.metadata.generation"), 2);
    const bare = await ask(api.admin, "PATCH", `${instances}/patched`, { metadata: null });
    assert.deepEqual(bare.at("resource.metadata.labels"), {});
  });

  test("unknown fields, wrong types, status, and names that differ from the path are refused by name", async () => {
    const wrong: [unknown, string][] = [
      [{ spec: { ...specs.Instance, colour: "red" } }, "/spec"],
      [{ spec: { ...specs.Instance, vcpus: "two" } }, "/spec/vcpus"],
      [{ spec: specs.Instance, status: { state: "running" } }, "/"],
      [{ spec: specs.Instance, metadata: { name: "other" } }, "/metadata/name"],
      [{ spec: specs.Instance, metadata: { project: "theirs" } }, "/metadata/project"],
      [{ spec: specs.Instance, kind: "Volume" }, "/kind"],
      [{ spec: specs.Instance, metadata: { labels: { "Bad Key": "x" } } }, "/metadata/labels"],
      [undefined, "/"],
    ];
    for (const [body, path] of wrong) {
      const answer = await ask(api.admin, "PUT", `${instances}/refused`, body);
      assert.equal(answer.status, 400, answer.text);
      assert.ok(answer.each("errors", "path").includes(path), answer.text);
    }
    for (const patch of [{ status: { state: "running" } }, { spec: { colour: "red" } }, [], "text", null]) {
      assert.equal((await ask(api.admin, "PATCH", `${instances}/web`, patch)).status, 400);
    }
    assert.equal((await ask(api.admin, "GET", `${instances}/refused`)).status, 404);
  });

  test("a name that is none is refused", async () => {
    for (const name of ["Web", "-a", "a".repeat(64), "..%2f..%2fetc", "a%00b"]) {
      const answer = await ask(api.admin, "PUT", `${instances}/${name}`, { spec: specs.Instance });
      assert.ok(answer.status === 400 || answer.status === 404, `${name}: ${answer.text}`);
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
    }
  });

  test("If-Match lets a change through at that revision only, If-None-Match: * only where nothing is", async () => {
    const { headers } = await ask(
      api.admin,
      "PUT",
      `${instances}/guarded`,
      { spec: specs.Instance },
      { "if-none-match": "*" },
    );
    const tag = String(headers["etag"]);
    assert.equal(
      (await ask(api.admin, "PUT", `${instances}/guarded`, { spec: specs.Instance }, { "if-none-match": "*" })).at(
        "code",
      ),
      "already-exists",
    );
    assert.equal(
      (await ask(api.admin, "PATCH", `${instances}/guarded`, { spec: { vcpus: 2 } }, { "if-match": tag })).status,
      200,
    );
    const late = await ask(api.admin, "PATCH", `${instances}/guarded`, { spec: { vcpus: 3 } }, { "if-match": tag });
    assert.equal(late.status, 412);
    assert.equal(late.at("code"), "revision-mismatch");
    assert.equal((await ask(api.admin, "DELETE", `${instances}/guarded`, undefined, { "if-match": tag })).status, 412);
    assert.equal(
      (await ask(api.admin, "PUT", `${instances}/absent`, { spec: specs.Instance }, { "if-match": "*" })).status,
      412,
    );
    assert.equal((await ask(api.admin, "PATCH", `${instances}/guarded`, {}, { "if-match": "yesterday" })).status, 400);
  });

  test("an action answers 202 with its operation, which can be read, waits for cancel, and is at Location", async () => {
    await ask(api.admin, "PUT", `${instances}/acted`, { spec: specs.Instance });
    const started = await ask(api.admin, "POST", `${instances}/acted:restart`, { graceSeconds: 3 });
    assert.equal(started.status, 202);
    assert.deepEqual(started.at("operation.spec.input"), { graceSeconds: 3 });
    assert.equal(started.at("operation.spec.cause"), `POST ${instances}/acted:restart`);
    const location = `/api/v1/operations/${started.textAt("operation.metadata.name")}`;
    assert.equal(started.headers["location"], location);
    assert.equal((await ask(api.admin, "GET", location)).at("status.state"), "pending");
    assert.equal((await ask(api.admin, "POST", `${location}:cancel`)).at("operation.status.state"), "cancelled");
    assert.equal((await ask(api.admin, "POST", `${instances}/acted:restart`, { gracesSeconds: 3 })).status, 400);
    assert.equal((await ask(api.admin, "POST", `${instances}/nothing:restart`)).status, 404);
  });

  test("a dry run answers with the plan, field by field, and commits nothing", async () => {
    await ask(api.admin, "PUT", `${instances}/planned`, { spec: specs.Instance });
    const { revision } = api.store;
    const changed = await ask(api.admin, "PATCH", `${instances}/planned?dryRun=true`, {
      spec: { vcpus: 8, power: "stopped" },
    });
    assert.deepEqual(changed.at("plan"), [
      {
        type: "updated",
        kind: "Instance",
        name: "planned",
        project: "ours",
        diff: [
          { path: "/spec/vcpus", before: 1, after: 8 },
          { path: "/spec/power", after: "stopped" },
        ],
      },
    ]);
    const created = await ask(api.admin, "PUT", `${instances}/new?dryRun=true`, { spec: specs.Instance });
    assert.equal(created.at("plan.0.type"), "created");
    const deleted = await ask(api.admin, "DELETE", `${instances}/planned?dryRun=true`);
    assert.equal(deleted.at("plan.0.type"), "deleted");
    const acted = await ask(api.admin, "POST", `${instances}/planned:restart?dryRun=true`);
    assert.deepEqual(acted.each("plan", "kind"), ["Operation"]);
    const token = await ask(api.admin, "PUT", "/api/v1/api-tokens/dry?dryRun=true", { spec: specs.ApiToken });
    assert.ok(!token.text.includes("skt1.") && !token.text.includes("secretHash"), token.text);
    assert.equal(
      (await ask(api.admin, "PUT", `${instances}/planned?dryRun=maybe`, { spec: specs.Instance })).status,
      400,
    );

    assert.equal(api.store.revision, revision);
    assert.equal((await ask(api.admin, "GET", `${instances}/planned`)).at("spec.vcpus"), 1);
    assert.equal((await ask(api.admin, "GET", `${instances}/new`)).status, 404);
  });

  test("the same request with the same Idempotency-Key is done once, another with that key is refused", async () => {
    await ask(api.admin, "PUT", `${instances}/once`, { spec: specs.Instance });
    const key = { "idempotency-key": "5f0c9f0e-once" };
    const post = () => ask(api.admin, "POST", `${instances}/once:restart`, {}, key);
    const [one, two] = await Promise.all([post(), post()]);
    const three = await post();
    assert.equal(one.status, 202);
    assert.equal(one.text, two.text);
    assert.equal(one.text, three.text);
    assert.equal(
      (await ask(api.admin, "POST", `${instances}/once:restart`, { graceSeconds: 1 }, key)).at("code"),
      "conflict",
    );
    assert.notEqual((await ask(api.admin, "POST", `${instances}/once:restart`, {})).text, one.text);
    assert.equal(
      (await ask(api.admin, "POST", `${instances}/once:restart`, {}, { "idempotency-key": "a b" })).status,
      400,
    );
  });

  test("a failed request is forgotten by its Idempotency-Key, so that it can be tried again", async () => {
    const key = { "idempotency-key": "second-try" };
    assert.equal((await ask(api.admin, "POST", `${instances}/later:restart`, {}, key)).status, 404);
    await ask(api.admin, "PUT", `${instances}/later`, { spec: specs.Instance });
    assert.equal((await ask(api.admin, "POST", `${instances}/later:restart`, {}, key)).status, 202);
  });

  test("a thing in a project that does not exist is refused with the remedy", async () => {
    const answer = await ask(api.admin, "PUT", "/api/v1/projects/nowhere/instances/web", { spec: specs.Instance });
    assert.equal(answer.status, 404);
    assert.match(answer.textAt("remedy"), /project create nowhere/);
    assert.equal((await ask(api.admin, "GET", "/api/v1/projects/nowhere/instances")).status, 404);
  });

  test("DELETE removes, and a second one finds nothing", async () => {
    await ask(api.admin, "PUT", `${instances}/gone`, { spec: specs.Instance });
    const deleted = await ask(api.admin, "DELETE", `${instances}/gone`);
    assert.equal(deleted.status, 200);
    assert.equal(deleted.at("resource.metadata.name"), "gone");
    assert.equal((await ask(api.admin, "DELETE", `${instances}/gone`)).status, 404);
  });
});

describe("lists", () => {
  let api: ApiHarness;
  const ask: ApiHarness["ask"] = (...question) => api.ask(...question);
  before(async () => {
    api = await startApi();
    for (const project of ["ours", "theirs"]) {
      await ask(api.admin, "PUT", `/api/v1/projects/${project}`, { spec: specs.Project });
      for (const index of [1, 2, 3, 4, 5]) {
        const labels = index % 2 === 1 ? { parity: "odd", index: String(index) } : { index: String(index) };
        await ask(api.admin, "PUT", `/api/v1/projects/${project}/volumes/v${index}`, {
          spec: specs.Volume,
          metadata: { labels },
        });
      }
    }
  });
  after(() => api[Symbol.asyncDispose]());

  const names = (answer: Answer): string[] => {
    const projects = answer.each("items", "metadata.project");
    return answer.each("items", "metadata.name").map((name, index) => `${String(projects[index])}/${String(name)}`);
  };

  test("pages follow each other without gap or repetition, also when what the cursor named is gone", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 10; page++) {
      const answer = await ask(
        api.admin,
        "GET",
        `/api/v1/volumes?limit=3${cursor === undefined ? "" : `&cursor=${cursor}`}`,
      );
      seen.push(...names(answer));
      if (page === 0) await ask(api.admin, "DELETE", "/api/v1/projects/ours/volumes/v3");
      const next = answer.at("nextCursor");
      if (typeof next !== "string") break;
      cursor = next;
    }
    assert.deepEqual(
      seen,
      ["ours", "theirs"].flatMap((project) => [1, 2, 3, 4, 5].map((index) => `${project}/v${index}`)),
    );
    await ask(api.admin, "PUT", "/api/v1/projects/ours/volumes/v3", {
      spec: specs.Volume,
      metadata: { labels: { parity: "odd", index: "3" } },
    });
  });

  test("a token of one project sees its own in a list over all projects", async () => {
    const token = await api.token("tenant", "viewer", "theirs");
    const answer = await ask(token, "GET", "/api/v1/volumes");
    assert.deepEqual(
      names(answer),
      [1, 2, 3, 4, 5].map((index) => `theirs/v${index}`),
    );
    assert.deepEqual(names(await ask(token, "GET", "/api/v1/projects")), ["undefined/theirs"]);
    assert.deepEqual(names(await ask(token, "GET", "/api/v1/api-tokens")), ["undefined/tenant"]);
    for (const plural of ["sites", "nodes", "providers", "users", "organisations"]) {
      assert.deepEqual((await ask(token, "GET", `/api/v1/${plural}`)).at("items"), []);
    }
  });

  test("labelSelector keeps what has the labels", async () => {
    const select = async (selector: string): Promise<string[]> =>
      names(await ask(api.admin, "GET", `/api/v1/projects/ours/volumes?labelSelector=${encodeURIComponent(selector)}`));
    assert.deepEqual(await select("parity=odd"), ["ours/v1", "ours/v3", "ours/v5"]);
    assert.deepEqual(await select("parity!=odd"), ["ours/v2", "ours/v4"]);
    assert.deepEqual(await select("parity=odd,index!=3"), ["ours/v1", "ours/v5"]);
    assert.deepEqual(
      await select("constructor!=x"),
      [1, 2, 3, 4, 5].map((index) => `ours/v${index}`),
    );
  });

  test("node keeps what is on it, page by page, and labels go with it", async () => {
    const on = async (query: string): Promise<string[]> =>
      names(await ask(api.admin, "GET", `/api/v1/volumes?node=rock&${query}`));
    const since = "2026-01-01T00:00:00.000Z";
    const metadata = {
      name: "rock",
      id: "nod_rock",
      revision: 0,
      generation: 1,
      labels: {},
      createdAt: since,
      updatedAt: since,
    };
    const status = { connected: false, conditions: [] };
    const node = await api.store.transact((tx) => tx.put({ kind: "Node", metadata, spec: { site: "reef" }, status }));
    await api.store.transact((tx) => {
      for (const [project, name] of [
        ["ours", "v2"],
        ["theirs", "v1"],
        ["theirs", "v4"],
      ] as const) {
        const volume = tx.get("Volume", { project, name });
        assert.ok(volume !== undefined);
        const { id: nodeId } = node.result.metadata;
        tx.put({ ...volume, assignment: { node: "rock", nodeId, epoch: 1, since, reason: "" } });
      }
    });
    assert.deepEqual(await on(""), ["ours/v2", "theirs/v1", "theirs/v4"]);
    const first = await ask(api.admin, "GET", "/api/v1/volumes?node=rock&limit=2");
    assert.deepEqual(names(first), ["ours/v2", "theirs/v1"]);
    assert.deepEqual(await on(`cursor=${String(first.at("nextCursor"))}`), ["theirs/v4"]);
    assert.deepEqual(await on("labelSelector=parity%3Dodd"), ["theirs/v1"]);
    assert.deepEqual(names(await ask(api.admin, "GET", "/api/v1/volumes?node=sand")), []);
    assert.equal((await ask(api.admin, "GET", "/api/v1/projects?node=rock")).status, 400);
  });

  test("fields keeps the fields asked for", async () => {
    const answer = await ask(
      api.admin,
      "GET",
      "/api/v1/projects/ours/volumes?limit=1&fields=metadata.name,spec.sizeMiB,status.nothing",
    );
    assert.deepEqual(answer.at("items"), [
      { kind: "Volume", metadata: { name: "v1" }, spec: { sizeMiB: 8 }, status: {} },
    ]);
  });

  test("lists of many hundred kilobytes come whole, several at once too", async () => {
    const path = "/api/v1/projects/ours/instances";
    const userData = (letter: string): string => letter.repeat(60_000);
    const letters = ["a", "ü", "c"];
    for (const [index, letter] of [...letters, ...letters, ...letters, ...letters, ...letters].entries()) {
      const metadata = { labels: { letter: String(letters.indexOf(letter)) } };
      await ask(api.admin, "PUT", `${path}/long-${index}`, {
        metadata,
        spec: { ...specs.Instance, userData: userData(letter) },
      });
    }
    const read = async (letter: string): Promise<void> => {
      const answer = await ask(api.admin, "GET", `${path}?labelSelector=letter%3D${letters.indexOf(letter)}`);
      assert.ok(answer.text.length > 256 * 1024);
      const seen = answer.each("items", "spec.userData").map((text) => [String(text)[0], String(text).length]);
      assert.deepEqual(
        seen,
        Array.from({ length: 5 }, () => [letter, 60_000]),
      );
    };
    for (let round = 0; round < 3; round++) await Promise.all(letters.map(read));
    for (let index = 0; index < 15; index++) await ask(api.admin, "DELETE", `${path}/long-${index}`);
  });

  test("the list's revision is that of the store", async () => {
    assert.equal((await ask(api.admin, "GET", "/api/v1/volumes")).at("revision"), api.store.revision);
  });

  test("queries that make no sense are refused", async () => {
    const many = Array.from({ length: 40 }, (_, index) => `a${index}=b`).join(",");
    for (const query of [
      "limit=0",
      "limit=10000",
      "limit=x",
      "limit=1&limit=2",
      "cursor=zzz",
      "cursor=",
      "labelSelector=a",
      `labelSelector=${"a".repeat(1100)}=b`,
      `labelSelector=${many}`,
      "fields=__proto__.x",
      "colour=red",
    ]) {
      const answer = await ask(api.admin, "GET", `/api/v1/volumes?${query}`);
      assert.equal(answer.status, 400, `${query}: ${answer.text}`);
      assert.equal(answer.at("code"), "invalid-request");
    }
  });
});
