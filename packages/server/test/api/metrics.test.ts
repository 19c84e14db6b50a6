import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startApi, draft, specs, type ApiHarness } from "./api-harness.ts";

describe("the numbers for Prometheus", () => {
  let api: ApiHarness;
  before(async () => (api = await startApi()));
  after(() => api[Symbol.asyncDispose]());

  /** The value of a sample; undefined where there is none. */
  function sample(text: string, name: string): number | undefined {
    const line = text.split("\n").find((one) => one.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  const scrape = async (): Promise<string> => {
    const answer = await api.ask(api.admin, "GET", "/metrics");
    assert.equal(answer.status, 200);
    assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
    return answer.text;
  };

  test("count what was answered by operation and status, and objects by kind, and name none of them", async () => {
    const before = await scrape();
    await api.store.transact((tx) =>
      tx.put(draft("Organisation", { name: "a-tenants-secret" }, specs.Organisation, {})),
    );
    await api.ask(api.admin, "GET", "/api/v1/organisations/a-tenants-secret");
    await api.ask(api.admin, "GET", "/api/v1/organisations/nothing-here");
    await api.ask(api.admin, "GET", "/no/such/path");
    const after = await scrape();
    const rise = (name: string): number => (sample(after, name) ?? 0) - (sample(before, name) ?? 0);
    assert.equal(rise('skerry_requests_total{operation="getOrganisation",status="200"}'), 1);
    assert.equal(rise('skerry_requests_total{operation="getOrganisation",status="404"}'), 1);
    assert.equal(rise('skerry_requests_total{operation="none",status="404"}'), 1);
    assert.equal(rise('skerry_request_duration_seconds_count{operation="getOrganisation"}'), 2);
    assert.equal(rise('skerry_objects{kind="Organisation"}'), 1);
    assert.equal(sample(after, "skerry_revision"), api.store.revision);
    assert.ok((sample(after, "process_resident_memory_bytes") ?? 0) > 0);
    assert.doesNotMatch(after, /a-tenants-secret|nothing-here|no\/such/);
  });
});
