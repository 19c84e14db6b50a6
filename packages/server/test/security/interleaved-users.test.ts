import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatApiToken } from "../../src/authorisation/api-token.ts";
import { mintSecret } from "../../src/authorisation/secret.ts";
import { draft, specs, startApi } from "../api/api-harness.ts";

const users = 1000;

describe("a thousand users at once", { timeout: 120_000 }, () => {
  test("are each answered as who they are and shown what is theirs, however their requests interleave", async () => {
    await using harness = await startApi();
    const tokens = await harness.store.transact((tx) =>
      Array.from({ length: users }, (_, index) => {
        const [name, project] = [`user-${index}`, `home-${index}`];
        const { secret, hash } = mintSecret();
        const token = draft("ApiToken", { name }, { owner: { kind: "User", name } }, { secretHash: hash });
        tx.put(draft("Project", { name: project }, { organisation: "acme" }, {}));
        tx.put(draft("User", { name }, {}, {}));
        tx.put(draft("RoleBinding", { name }, { role: "admin", subjects: [{ kind: "User", name }], project }, {}));
        tx.put(token);
        return formatApiToken({ id: token.metadata.id, secret });
      }),
    );
    const play = async (index: number, token: string): Promise<void> => {
      const home = `/api/v1/projects/home-${index}`;
      const next = `/api/v1/projects/home-${(index + 1) % users}`;
      const made = await harness.ask(token, "PUT", `${home}/volumes/disk-${index}`, { spec: specs.Volume });
      assert.equal(made.status, 201, made.text);
      // All at once, with those of all others.
      const [who, listed, own, foreign, put] = await Promise.all([
        harness.ask(token, "GET", "/api/v1/whoami"),
        harness.ask(token, "GET", "/api/v1/volumes?limit=2000"),
        harness.ask(token, "PATCH", `${home}/volumes/disk-${index}`, { metadata: { labels: { by: `${index}` } } }),
        harness.ask(token, "GET", `${next}/volumes`),
        harness.ask(token, "PUT", `${next}/volumes/mine`, { spec: specs.Volume }),
      ]);
      assert.equal(who.at("name"), `user-${index}`);
      assert.deepEqual(listed.each("items", "metadata.name"), [`disk-${index}`]);
      assert.equal(own.at("resource.metadata.labels.by"), `${index}`);
      assert.deepEqual([foreign.status, put.status], [404, 404]);
    };
    await Promise.all(tokens.result.map((token, index) => play(index, token)));
    const volumes = harness.store.list("Volume");
    assert.equal(volumes.length, users);
    for (const { metadata } of volumes) {
      const index = metadata.name.slice("disk-".length);
      assert.deepEqual([metadata.project, metadata.labels["by"]], [`home-${index}`, index]);
    }
  });
});
