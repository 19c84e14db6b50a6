import assert from "node:assert/strict";
import { X509Certificate, createPublicKey, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { SkerryError, makeId as makeIdAt } from "@skerry/model";
import { protocolVersion } from "@skerry/protocol";
import { nodeIntents } from "../../src/controllers/intents/node.ts";
import { join } from "../../src/gateway/join.ts";
import { systemClock } from "../../src/operations/clock.ts";
import { draft, specs } from "../api/api-harness.ts";
import { startGateway, type GatewayHarness } from "./gateway-harness.ts";
import { ask, askToJoin, joinAs, joinRequest, makeAgentKey } from "./small-agent.ts";

const makeId = (prefix: string): string => makeIdAt(prefix, 0, randomBytes(10));

function isConflict(error: unknown): error is SkerryError {
  return error instanceof SkerryError && error.code === "conflict";
}

describe("join", { timeout: 60_000 }, () => {
  let zone: GatewayHarness;
  before(async () => {
    zone = await startGateway();
  });
  after(() => zone[Symbol.asyncDispose]());

  const codeOf = (answer: { readonly body: Buffer }): unknown =>
    (JSON.parse(answer.body.toString()) as { code?: unknown }).code;

  test("an agent with a token becomes a node with its key, its labels and a certificate by the zone's authority", async () => {
    const key = makeAgentKey();
    const joined = await joinAs(zone.access, await zone.joinToken("t1", { labels: { rack: "7" } }), key, "n1");
    const node = zone.api.store.get("Node", { name: "n1" });
    assert.equal(node?.metadata.id, joined.nodeId);
    assert.equal(node?.status.publicKey, key.publicKey);
    assert.deepEqual([node?.metadata.labels, joined.labels], [{ rack: "7" }, { rack: "7" }]);
    const token = zone.api.store.get("JoinToken", { name: "t1" });
    assert.equal(token?.status.usedBy, "n1");

    const certificate = new X509Certificate(joined.certificate);
    assert.equal(certificate.subject, `CN=${joined.nodeId}`);
    assert.ok(
      certificate.verify(
        createPublicKey(new X509Certificate(joined.authority).publicKey.export({ format: "pem", type: "spki" })),
      ),
    );
    assert.equal(certificate.publicKey.export({ format: "der", type: "spki" }).toString("base64"), key.publicKey);
  });

  test("a token works once; only the agent that used it gets the same answer again", async () => {
    const token = await zone.joinToken("t2");
    const key = makeAgentKey();
    const first = await joinAs(zone.access, token, key, "n2");
    const again = await joinAs(zone.access, token, key, "n2");
    assert.equal(again.nodeId, first.nodeId);
    assert.equal(codeOf(await askToJoin(zone.access, token, makeAgentKey(), "n2")), "join-refused");
    assert.equal(codeOf(await askToJoin(zone.access, token, makeAgentKey(), "n3")), "join-refused");
    assert.equal(zone.api.store.get("Node", { name: "n3" }), undefined);
  });

  test("of two agents that bring one token at the same moment, one joins", async () => {
    const token = await zone.joinToken("race");
    const answers = await Promise.all(
      ["r1", "r2", "r3"].map((name) => askToJoin(zone.access, token, makeAgentKey(), name)),
    );
    assert.deepEqual(
      answers.map((answer) => answer.status).toSorted((one, other) => one - other),
      [200, 403, 403],
    );
    assert.equal(["r1", "r2", "r3"].filter((name) => zone.api.store.get("Node", { name }) !== undefined).length, 1);
  });

  test("tokens that are expired, made up, cut short or another control plane's are refused", async () => {
    const good = await zone.joinToken("t4");
    const [, id = "", , fingerprint = ""] = good.split(".");
    const wrong = [
      await zone.joinToken("t5", {}, Date.now() - 1),
      `skj1.${id}.${"a".repeat(43)}.${fingerprint}`,
      good.slice(0, -1),
      good.replace(fingerprint, "0".repeat(64)),
    ];
    for (const token of wrong)
      assert.equal(codeOf(await askToJoin(zone.access, token, makeAgentKey(), "n4")), "join-refused");
    assert.equal(zone.api.store.get("Node", { name: "n4" }), undefined);
    assert.equal(zone.api.store.get("JoinToken", { name: "t4" })?.status.usedAt, undefined);
  });

  test("a name that a node with another key has is refused, a node without a key takes the first", async () => {
    await joinAs(zone.access, await zone.joinToken("t6"), makeAgentKey(), "taken");
    const refused = await askToJoin(zone.access, await zone.joinToken("t7"), makeAgentKey(), "taken");
    assert.equal(codeOf(refused), "join-refused");
    assert.match(refused.body.toString(), /already, with another key/);

    const waiting = draft("Node", { name: "waiting" }, { site: "s1" }, { connected: false, conditions: [] });
    await zone.api.store.transact((tx) => tx.put(waiting));
    const joined = await joinAs(
      zone.access,
      await zone.joinToken("t8", { node: "waiting" }),
      makeAgentKey(),
      "some-host",
    );
    assert.equal(joined.nodeId, waiting.metadata.id);
    assert.equal(joined.nodeName, "waiting");
  });

  test("a key is enrolled once, and only by who holds it", async () => {
    const key = makeAgentKey();
    await joinAs(zone.access, await zone.joinToken("t9"), key, "n9");
    assert.equal(codeOf(await askToJoin(zone.access, await zone.joinToken("t10"), key, "n10")), "join-refused");
    const stolen = await askToJoin(zone.access, await zone.joinToken("t11"), makeAgentKey(), "n11", makeAgentKey());
    assert.equal(codeOf(stolen), "join-refused");
  });

  test("a token for another site can't take over a node", async () => {
    await zone.api.store.transact((tx) =>
      tx.put(draft("Node", { name: "elsewhere" }, { site: "s2" }, { connected: false, conditions: [] })),
    );
    assert.equal(
      codeOf(await askToJoin(zone.access, await zone.joinToken("t12"), makeAgentKey(), "elsewhere")),
      "join-refused",
    );
  });

  test("a token's labels don't take away what an instance on the node was placed by", async () => {
    const { store } = zone.api;
    const key = makeAgentKey();
    const { nodeId } = await joinAs(zone.access, await zone.joinToken("t14", { labels: { disk: "fast" } }), key, "n14");
    const picky = draft(
      "Instance",
      { project: "web", name: "picky" },
      { ...specs.Instance, placement: { labels: { disk: "fast" } } },
      { state: "running", health: "unknown", addresses: [], conditions: [] },
    );
    const assignment = { node: "n14", nodeId, epoch: 1, since: new Date(0).toISOString(), reason: "" };
    await store.transact((tx) => {
      tx.put(draft("Provider", { name: "p1" }, specs.Provider, { conditions: [] }));
      tx.put({ ...picky, assignment });
    });
    const asked = () => assert.fail("a join moves nothing");
    const engine = { submit: asked, requireIdle: asked };
    const fleet = { in: asked, placerIn: asked, decided: asked, requestOf: asked, size: 0 };
    const nodes = nodeIntents({ engine, fleet, residents: { instanceIdsOn: asked } });
    const { authority } = zone;
    const deps = { store, intents: { Node: nodes }, authority, clock: systemClock, makeId };
    const again = async (name: string, labels: Record<string, string>) =>
      join(deps, joinRequest(await zone.joinToken(name, { labels }), key, "n14"));
    const labels = () => store.get("Node", { name: "n14" })?.metadata.labels;

    await assert.rejects(
      again("t15", { disk: "slow" }),
      (error) => isConflict(error) && /web\/picky/.test(error.message),
    );
    assert.deepEqual(labels(), { disk: "fast" });
    assert.equal(store.get("JoinToken", { name: "t15" })?.status.usedAt, undefined);
    await again("t16", { rack: "7" });
    assert.deepEqual(labels(), { disk: "fast", rack: "7" });
  });

  test("requests that make no sense are refused as such", async () => {
    const post = (body: string) =>
      ask(zone.access, "/agent/v1/join", { method: "POST", headers: { "content-type": "application/json" } }, body);
    assert.equal(codeOf(await post("{}")), "invalid-request");
    assert.equal(codeOf(await post("{")), "invalid-request");
    assert.equal((await post(`"${"x".repeat(20_000)}"`)).status, 413);
    const rsa = {
      protocolVersion,
      token: await zone.joinToken("t13"),
      publicKey: "AAAA",
      signature: "AAAA",
      hostname: "n13",
    };
    assert.equal(codeOf(await post(JSON.stringify(rsa))), "invalid-request");
    assert.equal(codeOf(await post(JSON.stringify({ ...rsa, protocolVersion: 9 }))), "protocol-mismatch");
  });
});
