import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Answer } from "../api/api-harness.ts";
import { instanceSpec } from "../controllers/zone-fixture.ts";
import { revisionOf } from "./undo-cases.ts";
import { startUndoZone, type UndoZone } from "./undo-zone.ts";

const network = (name: string): string => `/projects/shop/networks/${name}`;
const web = "/projects/shop/instances/web";

describe("undo", () => {
  let zone: UndoZone;
  before(async () => {
    zone = await startUndoZone();
    await zone.change("PUT", web, { spec: instanceSpec });
  });
  after(() => zone[Symbol.asyncDispose]());

  const refused = (answer: Answer, status: number, code: string, words: RegExp): void => {
    assert.deepEqual([answer.status, answer.at("code")], [status, code], answer.text);
    assert.match(answer.textAt("detail"), words);
    assert.ok(answer.textAt("remedy").length > 10, answer.text);
  };
  const fresh = (() => {
    let serial = 0;
    return async (): Promise<{ readonly path: string; readonly name: string; readonly made: number }> => {
      serial += 1;
      const name = `net-${serial}`;
      const spec = { cidr: `10.100.${serial}.0/24` };
      const made = await zone.change("PUT", network(name), { spec, metadata: { labels: { a: "1" } } });
      return { path: network(name), name, made: revisionOf(made) };
    };
  })();

  test("touches only the fields that the change itself had changed", async () => {
    const { path } = await fresh();
    const changed = revisionOf(await zone.change("PATCH", path, { metadata: { labels: { a: "2", b: "1" } } }));
    await zone.change("PATCH", path, { metadata: { labels: { c: "other" } }, spec: { egress: true } });
    const undone = await zone.undo({ revision: changed });
    assert.equal(undone.status, 200, undone.text);
    assert.deepEqual(undone.at("undone.0.fields"), ["/metadata/labels/a", "/metadata/labels/b"]);
    const now = await zone.ask("GET", path);
    assert.deepEqual([now.at("metadata.labels"), now.at("spec.egress")], [{ a: "1", c: "other" }, true]);
  });

  test("is refused where one of these has another value since, tells all three, and leaves it where a partial undo is asked for", async () => {
    const { path } = await fresh();
    const body = { metadata: { labels: { a: "2", b: "1" } }, spec: { egress: true } };
    const changed = revisionOf(await zone.change("PATCH", path, body));
    await zone.change("PATCH", path, { metadata: { labels: { a: "3" } } });
    const { revision } = zone.api.store;
    const answer = await zone.undo({ revision: changed });
    refused(answer, 409, "conflict", /changed once more since: \/metadata\/labels\/a\./);
    assert.deepEqual(answer.at("facts.changedSince"), [
      { path: "/metadata/labels/a", before: "1", after: "2", now: "3" },
    ]);
    assert.equal(zone.api.store.revision, revision);
    const partial = await zone.undo({ revision: changed, partial: true });
    assert.equal(partial.status, 200, partial.text);
    assert.deepEqual(partial.at("undone.0.left"), ["/metadata/labels/a"]);
    const now = await zone.ask("GET", path);
    assert.deepEqual([now.at("metadata.labels"), now.at("spec.egress")], [{ a: "3" }, undefined]);
    // Nothing of it is left now that is as the change left it.
    refused(await zone.undo({ revision: changed, partial: true }), 409, "conflict", /changed once more since/);
  });

  test("done once more says that there is nothing left", async () => {
    const { path, made } = await fresh();
    const changed = revisionOf(await zone.change("PATCH", path, { metadata: { labels: { a: "2" } } }));
    assert.equal((await zone.undo({ revision: changed })).status, 200);
    refused(await zone.undo({ revision: changed }), 409, "conflict", /as it was before already/);
    assert.equal((await zone.undo({ revision: made })).status, 200);
    refused(await zone.undo({ revision: made }), 409, "conflict", /is gone/);
    refused(await zone.undo({ revision: changed }), 409, "conflict", /is gone/);
  });

  test("does not delete what somebody has changed since it was made, partial or not", async () => {
    const { path, made } = await fresh();
    await zone.change("PATCH", path, { metadata: { labels: { mine: "1" } } });
    for (const partial of [false, true])
      refused(
        await zone.undo({ revision: made, partial }),
        409,
        "conflict",
        /changed since it was made: \/metadata\/labels\/mine/,
      );
    assert.equal((await zone.ask("GET", path)).status, 200);
  });

  test("does not make again what is there under its name, nor what its project is another one of by now", async () => {
    const { path } = await fresh();
    const gone = revisionOf(await zone.change("DELETE", path));
    await zone.change("PUT", path, { spec: { cidr: "10.250.0.0/24" } });
    refused(await zone.undo({ revision: gone }), 409, "conflict", /There is another network/);
    await zone.change("PUT", "/projects/brief", { spec: { organisation: "acme" } });
    await zone.change("PUT", "/projects/brief/networks/lan", { spec: { cidr: "10.1.0.0/24" } });
    const deleted = revisionOf(await zone.change("DELETE", "/projects/brief/networks/lan"));
    await zone.change("DELETE", "/projects/brief");
    refused(await zone.undo({ revision: deleted }), 409, "conflict", /is gone, or another one/);
    await zone.change("PUT", "/projects/brief", { spec: { organisation: "acme" } });
    refused(await zone.undo({ revision: deleted }), 409, "conflict", /is gone, or another one/);
    // And whoever has the new one learns nothing of what was in the old one.
    const heir = await zone.api.token("heir", "admin", "brief");
    refused(await zone.undo({ revision: deleted }, "", heir), 404, "not-found", /no change of revision/);
  });

  test("takes a move that is under way back by cancelling it, and a finished one by a move of its own", async () => {
    const where = (): unknown => zone.api.store.get("Instance", { project: "shop", name: "web" })?.assignment?.node;
    const home = where();
    const begun = await zone.ask("POST", `${web}:migrate`, {});
    const operation = begun.textAt("operation.metadata.name");
    const cancelled = await zone.undo({ operation });
    assert.equal(cancelled.at("undone.0.way"), "cancelled", cancelled.text);
    await zone.fleet.calm();
    assert.equal(where(), home);
    assert.equal((await zone.ask("GET", `/operations/${operation}`)).at("status.state"), "cancelled");
    refused(await zone.undo({ operation }), 409, "conflict", /ended as cancelled, and took itself back/);
    const moved = await zone.change("POST", `${web}:migrate`, {});
    assert.notEqual(where(), home);
    const back = await zone.undo({ operation: moved.textAt("operation.metadata.name") });
    assert.equal(back.status, 202, back.text);
    assert.deepEqual(
      [back.at("undone.0.way"), back.at("operation.spec.type"), back.headers.location],
      ["moved-back", "instance.migrate", `/api/v1/operations/${back.textAt("operation.metadata.name")}`],
    );
    await zone.fleet.calm();
    assert.equal(where(), home);
    refused(await zone.undo({ revision: revisionOf(moved) }), 409, "conflict", /not at rest on/);
  });

  test("asks to stop an instance first that was resized and started in one", async () => {
    const path = "/projects/shop/instances/larger";
    await zone.change("PUT", path, { spec: { ...instanceSpec, power: "stopped" } });
    const revision = revisionOf(await zone.change("PATCH", path, { spec: { vcpus: 2, power: "running" } }));
    const refusal = await zone.undo({ revision });
    refused(refusal, 409, "conflict", /change only while it is stopped/);
    assert.match(refusal.textAt("remedy"), /skerry instance stop larger/);
    await zone.change("POST", `${path}:stop`, {});
    assert.ok((await zone.undo({ revision })).status < 300);
    await zone.fleet.calm();
    const { spec } = zone.api.store.get("Instance", { project: "shop", name: "larger" }) ?? assert.fail();
    assert.deepEqual([spec.vcpus, spec.power], [1, "stopped"]);
  });

  test("leaves a disk that has grown, and gives vCPUs back where a partial undo is asked for", async () => {
    const path = "/projects/shop/instances/grown";
    await zone.change("PUT", path, { spec: { ...instanceSpec, power: "stopped" } });
    const resized = revisionOf(await zone.change("PATCH", path, { spec: { vcpus: 2, diskMiB: 4000 } }));
    refused(await zone.undo({ revision: resized }), 409, "irreversible", /a disk only grows/);
    const back = await zone.undo({ revision: resized, partial: true });
    await zone.fleet.calm();
    assert.deepEqual(
      [back.status, back.at("undone.0.fields"), back.at("undone.0.left")],
      [202, ["/spec/vcpus"], ["/spec/diskMiB"]],
    );
    const { spec } = zone.api.store.get("Instance", { project: "shop", name: "grown" }) ?? assert.fail();
    assert.deepEqual([spec.vcpus, spec.diskMiB], [1, 4000]);
  });

  test("tells of what it destroys, what is not as it was, and that keys are in no log", async () => {
    const made = await zone.change("PUT", "/projects/shop/instances/brief", { spec: instanceSpec });
    const plan = await zone.undo({ revision: revisionOf(made) }, "?dryRun=true");
    assert.match(plan.textAt("undone.0.destroys"), /its disk/);
    // All that it frees, though its node has not let go of it yet.
    const freed = plan.each("quota", "field");
    assert.ok(freed.includes("vcpus") && freed.includes("storageMiB"), plan.text);
    assert.deepEqual(plan.each("plan", "type").map(String).toSorted(), ["created", "deleted", "deleted"]);

    const revision = revisionOf(await zone.change("PUT", "/users/eva", { spec: {} }));
    assert.equal((await zone.undo({ revision }, "?dryRun=true")).at("undone.0.destroys"), undefined);
    await zone.api.store.transact((tx) => {
      const eva = tx.get("User", { name: "eva" }) ?? assert.fail();
      tx.put({ ...eva, status: { credentials: { recoveryHashes: ["a"] } } });
    });
    assert.match((await zone.undo({ revision }, "?dryRun=true")).textAt("undone.0.destroys"), /signs in by/);

    const ssh = { driver: "ssh", country: "PT", ssh: { user: "root", privateKey: "one" } };
    const path = "/providers/metal";
    await zone.change("PUT", path, { spec: ssh });
    const rekeyed = revisionOf(await zone.change("PATCH", path, { spec: { ssh: { privateKey: "two" } } }));
    refused(await zone.undo({ revision: rekeyed }), 409, "irreversible", /private key was not kept/);
    const moved = revisionOf(await zone.change("PATCH", path, { spec: { country: "ES", ssh: { user: "admin" } } }));
    const undone = await zone.undo({ revision: moved });
    assert.match(String(undone.at("undone.0.notes.0")), /private key stays as it is now/);
    const { spec } = zone.api.store.get("Provider", { name: "metal" }) ?? assert.fail();
    assert.deepEqual([spec.country, spec.ssh?.user], ["PT", "root"]);
    const { ssh: _gone, ...keyless } = { ...ssh, driver: "manual" };
    const opened = revisionOf(await zone.change("PUT", path, { spec: keyless }));
    refused(await zone.undo({ revision: opened }), 409, "irreversible", /private key was not kept/);
    await zone.change("PUT", path, { spec: ssh });
    const deleted = revisionOf(await zone.change("DELETE", path));
    refused(await zone.undo({ revision: deleted }), 409, "irreversible", /private key was not kept/);

    await zone.change("PUT", "/sites/porto", {
      spec: { provider: "iberica", country: "PT", latitude: 41, longitude: -8.6, tier: "cloud" },
    });
    await zone.change("PUT", "/join-tokens/door", { spec: { site: "porto" } });
    const closed = revisionOf(await zone.change("DELETE", "/sites/porto"));
    const remade = await zone.undo({ revision: closed });
    assert.deepEqual(remade.at("undone.0.notes"), [
      "It has a new id.",
      "The join token door is not made again: its secret was shown once.",
    ]);
  });

  test("tells that whom an identity provider knows could not come back, where it would delete its user", async () => {
    const revision = revisionOf(await zone.change("PUT", "/users/linked", { spec: {} }));
    assert.equal((await zone.undo({ revision }, "?dryRun=true")).at("undone.0.destroys"), undefined);
    const spec = { issuer: "https://linked.example", clientId: "skerry" };
    await zone.change("PUT", "/identity-providers/knows", { spec });
    await zone.change("POST", "/users/linked:link", { identityProvider: "knows", subject: "s-1" });
    for (const query of ["?dryRun=true", ""])
      assert.match((await zone.undo({ revision }, query)).textAt("undone.0.destroys"), /signs in by/);
    await zone.change("DELETE", "/identity-providers/knows");
  });

  test("tells that a link by which somebody was invited is over, where they are let in again", async () => {
    await zone.change("PUT", "/users/invited", { spec: {} });
    const disable = async () => revisionOf(await zone.change("PATCH", "/users/invited", { spec: { disabled: true } }));
    const never = await zone.undo({ revision: await disable() });
    assert.equal(never.at("undone.0.notes"), undefined, never.text);
    await zone.change("POST", "/users/invited:invite", {});
    const undone = await zone.undo({ revision: await disable() });
    assert.deepEqual(undone.at("undone.0.fields"), ["/spec/disabled"]);
    assert.match(undone.textAt("undone.0.notes.0"), /no link is made again/);
    assert.equal(zone.api.store.get("User", { name: "invited" })?.status.credentials?.invitation, undefined);
  });

  test("does not say that a secret is back which is not, and takes back the rest where a partial undo is asked for", async () => {
    const cases = [
      {
        kind: "Provider",
        path: "/providers/keyed",
        pointer: "/spec/ssh/privateKey",
        secret: (privateKey: string) => ({ ssh: { user: "root", privateKey } }),
        spec: { driver: "ssh", country: "PT" },
      },
      {
        kind: "IdentityProvider",
        path: "/identity-providers/keyed",
        pointer: "/spec/clientSecret",
        secret: (clientSecret: string) => ({ clientSecret }),
        spec: { issuer: "https://id.example", clientId: "skerry" },
      },
    ] as const;
    for (const { kind, path, pointer, spec, secret } of cases) {
      const stored = () => zone.api.store.get(kind, { name: "keyed" })?.spec;
      const change = async (fields: object) => revisionOf(await zone.change("PATCH", path, { spec: fields }));
      const made = revisionOf(await zone.change("PUT", path, { spec: { ...spec, ...secret("one") } }));
      const both = await change({ ...secret("two"), displayName: "Keyed" });
      const after = stored();
      refused(await zone.undo({ revision: both }), 409, "irreversible", /(private key|client's secret) was not kept/);
      assert.deepEqual(stored(), after);
      const undone = await zone.undo({ revision: both, partial: true });
      assert.deepEqual([undone.at("undone.0.fields"), undone.at("undone.0.left")], [["/spec/displayName"], [pointer]]);
      const { displayName: _back, ...rest } = after ?? assert.fail();
      assert.deepEqual(stored(), rest);
      // It was changed since it was made, though nothing else was.
      refused(await zone.undo({ revision: made }), 409, "conflict", new RegExp(pointer));
      // A change of anything else leaves it alone.
      const named = await change({ displayName: "Keyed" });
      await change(secret("three"));
      assert.equal((await zone.undo({ revision: named })).status, 200);
    }
    const path = "/identity-providers/keyed";
    await zone.change("PATCH", path, { spec: { clientSecret: null } });
    const added = revisionOf(await zone.change("PATCH", path, { spec: { clientSecret: "four" } }));
    await zone.change("PATCH", path, { spec: { clientSecret: "five" } });
    refused(await zone.undo({ revision: added }), 409, "conflict", /clientSecret/);
  });

  test("is in the audit log with what it undoes and why, and is a change like others", async () => {
    const { path } = await fresh();
    const changed = await zone.change("PATCH", path, { metadata: { labels: { a: "2" } } });
    const revision = revisionOf(changed);
    const reason = { "x-skerry-reason": "by mistake" };
    const undone = await zone.ask("POST", "/undo", { revision }, reason);
    const { records } = await zone.api.store.audit.read({ limit: 2 });
    const [record, own] = records.map(
      (one) => JSON.parse(one.record) as { seq: number; why?: string; undoes?: object },
    );
    assert.deepEqual([own?.why, own?.undoes], ["by mistake", { revision, seq: record?.seq }]);
    assert.equal(undone.at("undoes.revision"), revision);
    assert.ok(revisionOf(undone) > revision);
  });

  test("of what nobody asked for, of what changed nothing, and of what is not there says so", async () => {
    const started = await zone.change("POST", `${web}:start`, {});
    refused(
      await zone.undo({ operation: started.textAt("operation.metadata.name") }),
      409,
      "irreversible",
      /changed nothing that stays/,
    );
    await zone.api.store.transact((tx) => {
      const own = tx.get("Operation", { name: started.textAt("operation.metadata.name") }) ?? assert.fail();
      const id = "opr_00000000000000000000000001";
      tx.put({
        ...own,
        metadata: { ...own.metadata, id, name: "opr-own" },
        spec: { ...own.spec, cause: "lost its node" },
      });
      tx.put({ ...own, metadata: { ...own.metadata, id, name: "opr-own", labels: { a: "b" } } });
    });
    refused(await zone.undo({ operation: "opr-own" }), 409, "irreversible", /the control plane began it/);
    const { revision } = zone.api.store;
    for (const asked of [{ revision }, { revision: 1_000_000 }, { operation: "opr-none" }])
      refused(await zone.undo(asked), 404, "not-found", /no change of revision|no Operation opr-none/);
    await zone.api.store.transact(
      (tx) => {
        const { metadata, ...rest } = tx.get("Network", { project: "shop", name: "lan" }) ?? assert.fail();
        tx.put({ ...rest, metadata: { ...metadata, labels: { own: "1" } } });
      },
      { actor: { name: "system" }, cause: "a restoration" },
    );
    refused(await zone.undo({ revision: zone.api.store.revision }), 409, "irreversible", /did this by itself/);
    // The next record is not taken for its own.
    refused(await zone.undo({ revision }), 404, "not-found", /no change of revision/);
    for (const asked of [{}, { revision: 1, operation: "opr-none" }, { revision: 0 }, { revision: 1, force: true }])
      assert.equal((await zone.undo(asked)).status, 400, JSON.stringify(asked));
  });

  test("of a join says to take the node out instead", async () => {
    const { store } = zone.api;
    await store.transact(
      (tx) => {
        const node = tx.get("Node", { name: "mad-1" }) ?? assert.fail();
        tx.put({ ...node, metadata: { ...node.metadata, labels: { joined: "1" } } });
      },
      { actor: { kind: "JoinToken", name: "door" }, cause: "POST /agents/v1/join" },
    );
    refused(await zone.undo({ revision: store.revision }), 409, "irreversible", /an agent joined/);
  });

  test("says where what stays would not go with what was before", async () => {
    const path = "/projects/shop/instances/mixed";
    const { healthCheck: _none, ...bare } = instanceSpec;
    await zone.change("PUT", path, { spec: bare });
    const added = revisionOf(await zone.change("PATCH", path, { spec: { healthCheck: { kind: "http", port: 80 } } }));
    await zone.change("PATCH", path, { spec: { healthCheck: { port: 81 } } });
    refused(
      await zone.undo({ revision: added, partial: true }),
      409,
      "conflict",
      /\/spec\/healthCheck\/port, which stays/,
    );
  });
});
