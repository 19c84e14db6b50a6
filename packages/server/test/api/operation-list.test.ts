import assert from "node:assert/strict";
import { test } from "node:test";
import { specs, startApi, type Answer } from "./api-harness.ts";

test("operations are listed by what they work on, in its project and by its whole name", async (t) => {
  const api = await startApi();
  t.after(() => api[Symbol.asyncDispose]());
  const ask: typeof api.ask = (...question) => api.ask(...question);
  await ask(api.admin, "PUT", "/api/v1/projects/ours", { spec: specs.Project });
  const own = "/api/v1/projects/ours/instances";
  const made = new Map<string, string>();
  for (const name of ["worked", "worked-2"]) {
    await ask(api.admin, "PUT", `${own}/${name}`, { spec: specs.Instance });
    const started = await ask(api.admin, "POST", `${own}/${name}:restart`, { graceSeconds: 1 });
    made.set(name, started.textAt("operation.metadata.name"));
  }
  const listed = (target: string, more = ""): Promise<Answer> =>
    ask(api.admin, "GET", `/api/v1/operations?target=${target}${more}`);
  assert.deepEqual((await listed("Instance/ours/worked")).each("items", "metadata.name"), [made.get("worked")]);
  assert.deepEqual((await listed("Instance/theirs/worked")).at("items"), []);
  assert.deepEqual((await listed("Volume/ours/worked")).at("items"), []);
  for (const target of ["Instance/worked", "Node/ours/worked", "Cat/worked", "Instance"])
    assert.equal((await listed(target)).status, 400, target);
  assert.equal((await ask(api.admin, "GET", `${own}?target=Instance/ours/worked`)).status, 400);
});
