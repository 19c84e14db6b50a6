import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { instanceSpec } from "../controllers/zone-fixture.ts";
import { revisionOf } from "./undo-cases.ts";
import { startUndoZone, type UndoZone } from "./undo-zone.ts";

const web = "/projects/shop/instances/web";

describe("who undoes", () => {
  let zone: UndoZone;
  before(async () => {
    zone = await startUndoZone();
    await zone.change("PUT", web, { spec: { ...instanceSpec, power: "stopped", vcpus: 2 } });
  });
  after(() => zone[Symbol.asyncDispose]());

  test("needs the rights to what the undo does, and none of who made the change", async () => {
    const operator = await zone.api.token("olga", "operator", "shop");
    const lan = "/projects/shop/networks/lan";
    const byAdmin = revisionOf(await zone.change("PATCH", lan, { metadata: { labels: { a: "1" } } }));
    assert.equal((await zone.undo({ revision: byAdmin }, "", operator)).status, 200);
    const quota = revisionOf(await zone.change("PATCH", "/projects/shop", { spec: { quota: { vcpus: 8 } } }));
    assert.equal((await zone.undo({ revision: quota }, "", operator)).at("code"), "forbidden");
    const site = revisionOf(await zone.change("PATCH", "/sites/madrid", { metadata: { labels: { a: "1" } } }));
    assert.equal((await zone.undo({ revision: site }, "", operator)).at("code"), "not-found");
    // Who may make may not delete, and so does not undo a creation.
    await zone.change("PUT", "/roles/maker", {
      spec: {
        policies: ["read", "put", "patch"]
          .map((verb) => `permit (principal, action == Skerry::Action::"${verb}", resource);`)
          .join("\n"),
      },
    });
    const maker = await zone.api.token("maker", "maker", "shop");
    const ask = (method: "PUT" | "PATCH", path: string, body: object) =>
      zone.api.ask(maker, method, `/api/v1${path}`, body);
    const made = revisionOf(await ask("PUT", "/projects/shop/networks/own", { spec: { cidr: "10.9.0.0/24" } }));
    const labelled = revisionOf(await ask("PATCH", lan, { metadata: { labels: { b: "1" } } }));
    assert.equal((await zone.undo({ revision: made }, "", maker)).at("code"), "forbidden");
    assert.equal((await zone.undo({ revision: labelled }, "", maker)).status, 200);
    // A right that was taken away since does not come back with the change that it allowed.
    const again = revisionOf(await ask("PATCH", lan, { metadata: { labels: { b: "2" } } }));
    await zone.change("DELETE", "/api-tokens/maker");
    assert.equal((await zone.undo({ revision: again }, "", maker)).at("code"), "unauthenticated");
  });

  test("needs them where the thing is now, and where it would be again", async () => {
    await zone.change("PUT", "/nodes/moved", { spec: { site: "paris" } });
    const moved = revisionOf(await zone.change("PATCH", "/nodes/moved", { spec: { site: "madrid" } }));
    const bind = async (user: string, role: string, provider: string): Promise<void> => {
      const subjects = [{ kind: "User", name: user }];
      await zone.change("PUT", `/role-bindings/${user}-${provider}`, { spec: { role, provider, subjects } });
    };
    for (const [user, there, here] of [
      ["comes", "provider", "viewer"],
      ["goes", "viewer", "provider"],
      ["both", "provider", "provider"],
    ] as const) {
      await zone.change("PUT", `/users/${user}`, { spec: {} });
      await bind(user, there, "gallia");
      await bind(user, here, "iberica");
      const made = await zone.change("PUT", `/api-tokens/${user}`, { spec: { owner: { kind: "User", name: user } } });
      const answer = await zone.undo({ revision: moved }, "", made.textAt("secret"));
      assert.equal(answer.at("code"), user === "both" ? undefined : "forbidden", answer.text);
    }
  });

  test("does nothing once their token is gone, though it was there when they asked", async (t) => {
    const token = await zone.api.token("leaver", "operator", "shop");
    const lan = "/projects/shop/networks/lan";
    const revision = revisionOf(await zone.change("PATCH", lan, { metadata: { labels: { z: "1" } } }));
    const { store } = zone.api;
    const read = store.audit.read.bind(store.audit);
    const slow: typeof read = async (query) => {
      const { id } = store.get("ApiToken", { name: "leaver" })?.metadata ?? assert.fail();
      await store.transact((tx) => tx.delete("ApiToken", id));
      return read(query);
    };
    t.mock.method(store.audit, "read", slow);
    assert.equal((await zone.undo({ revision }, "", token)).at("code"), "unauthenticated");
    assert.equal((await zone.ask("GET", lan)).at("metadata.labels.z"), "1");
  });

  test("gives nobody what they have not: a binding, a group, a token", async () => {
    await zone.change("PUT", "/users/eva", { spec: {} });
    const subjects = [{ kind: "User", name: "eva" }];
    await zone.change("PUT", "/role-bindings/boss", { spec: { role: "platform-admin", subjects } });
    const deposed = revisionOf(await zone.change("DELETE", "/role-bindings/boss"));
    await zone.change("PUT", "/roles/clerk", {
      spec: { policies: `permit (principal, action, resource is Skerry::RoleBinding);` },
    });
    const clerk = await zone.api.token("clerk", "clerk");
    assert.equal((await zone.undo({ revision: deposed }, "", clerk)).at("code"), "forbidden");
    assert.equal((await zone.undo({ revision: deposed })).status, 200);
  });

  test("gives nobody what another of their name had: of a binding, a group, a role, an identity provider", async () => {
    const bot = { kind: "ServiceAccount", name: "bot", project: "shop" };
    const specs: Readonly<Record<string, object>> = {
      "/users/nat": {},
      "/users/stays": {},
      "/groups/crew": { members: ["nat", "stays"] },
      "/projects/shop/service-accounts/bot": {},
      "/roles/looks": { policies: `permit (principal, action == Skerry::Action::"read", resource);` },
      "/role-bindings/of-nat": { role: "viewer", subjects: [{ kind: "User", name: "nat" }] },
      "/role-bindings/of-bot": { role: "viewer", project: "shop", subjects: [bot, { kind: "User", name: "stays" }] },
      "/role-bindings/of-looks": { role: "looks", subjects: [{ kind: "User", name: "stays" }] },
      "/groups/told": { members: [] },
      "/identity-providers/corp": {
        ...{ issuer: "https://id.example", clientId: "skerry", groupsClaim: "groups" },
        groups: [{ value: "told", group: "told" }],
      },
    };
    const put = (path: string) => zone.change("PUT", path, { spec: specs[path] });
    for (const path of Object.keys(specs)) await put(path);
    const changed = async (path: string, spec: object): Promise<readonly [number, string, RegExp]> => [
      revisionOf(await zone.change("PATCH", path, { spec })),
      path,
      /is another one by now than it named/,
    ];
    const gone = async (path: string): Promise<readonly [number, string, RegExp]> => [
      revisionOf(await zone.change("DELETE", path)),
      path,
      /is another one by now than it named/,
    ];
    const undone = [
      await changed("/groups/crew", { members: ["stays"] }),
      await gone("/role-bindings/of-nat"),
      await changed("/role-bindings/of-bot", { subjects: [{ kind: "User", name: "stays" }] }),
      await gone("/role-bindings/of-looks"),
      await changed("/identity-providers/corp", { groups: [] }),
    ];
    const reused = ["/users/nat", "/projects/shop/service-accounts/bot", "/roles/looks", "/groups/told"];
    for (const path of reused) await zone.change("DELETE", path);
    const [crew] = undone;
    // Nobody has the name yet.
    assert.equal((await zone.undo({ revision: crew?.[0] })).at("code"), "invalid-request");
    for (const path of reused) await put(path);
    for (const [revision, path, why] of undone) {
      for (const query of ["?dryRun=true", ""]) {
        const refused = await zone.undo({ revision, partial: true }, query);
        assert.deepEqual([refused.status, refused.at("code")], [409, "irreversible"], `${path}: ${refused.text}`);
        assert.match(refused.textAt("detail"), why);
      }
    }
    // Made again by an undo, they are who they were.
    await zone.change("PUT", "/users/back", { spec: {} });
    await zone.change("PATCH", "/groups/crew", { spec: { members: ["stays", "back"] } });
    const out = revisionOf(await zone.change("PATCH", "/groups/crew", { spec: { members: ["stays"] } }));
    const left = revisionOf(await zone.change("DELETE", "/users/back"));
    for (const revision of [left, out]) assert.equal((await zone.undo({ revision })).status, 200);
    assert.deepEqual(zone.api.store.get("Group", { name: "crew" })?.spec.members, ["stays", "back"]);
  });

  test("stays within quotas", async () => {
    const shrunk = revisionOf(await zone.change("PATCH", web, { spec: { vcpus: 1 } }));
    await zone.change("PATCH", "/projects/shop", { spec: { quota: { vcpus: 1 } } });
    for (const query of ["", "?dryRun=true"])
      assert.equal((await zone.undo({ revision: shrunk }, query)).at("code"), "quota-exceeded");
    await zone.change("PATCH", "/projects/shop", { spec: { quota: { vcpus: 2 } } });
    const plan = await zone.undo({ revision: shrunk }, "?dryRun=true");
    assert.deepEqual(plan.at("quota.0"), {
      kind: "Project",
      name: "shop",
      field: "vcpus",
      before: 1,
      after: 2,
      limit: 2,
    });
    assert.equal((await zone.undo({ revision: shrunk })).status, 202);
    await zone.fleet.calm();
  });
});
