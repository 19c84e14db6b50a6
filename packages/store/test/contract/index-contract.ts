import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { InstanceResource } from "@skerry/model";
import type { Key, Store } from "@skerry/store";
import { seed } from "@skerry/testkit/seed";
import { placeFor, type Backend } from "./place.ts";
import { instance } from "./samples.ts";

const nodes = ["nod_1", "nod_2"];
const at = { epoch: 1, since: "2026-01-01T00:00:00.000Z", reason: 'free: "9" {' };

const wish = fc.record({
  serial: fc.nat(30),
  project: fc.constantFrom("p", "p-2", "q"),
  labels: fc.dictionary(fc.constantFrom("app", "tier", "x"), fc.constantFrom("web", "db", "", "a_b.C"), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
  node: fc.option(fc.constantFrom(...nodes), { nil: undefined, freq: 3 }),
  removal: fc.option(fc.record({ since: fc.nat(9), done: fc.boolean() }, { noNullPrototype: true }), {
    nil: undefined,
    freq: 2,
  }),
  former: fc.option(fc.constantFrom(...nodes), { nil: undefined, freq: 2 }),
  networks: fc.option(fc.subarray(["lan", "wan"]), { nil: undefined, freq: 3 }),
  address: fc.option(fc.constantFrom("10.0.0.9", "255.255.255.255", "10.0.0.x"), { nil: undefined, freq: 3 }),
  isGone: fc.boolean(),
});
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;

function objectOf({ serial, project, labels, node, removal, former, networks, address }: Wish): InstanceResource {
  const blank = instance(serial, `i-${serial}`, project);
  const addresses =
    networks?.[0] === undefined || address === undefined ? [] : [{ network: networks[0], address, mac: "02" }];
  const assignment = {
    ...{ node: "n", nodeId: node ?? "", ...at },
    ...(removal === undefined ? {} : { removal }),
    ...(former === undefined ? {} : { former: [{ node: "n", nodeId: former, epoch: 1, since: 1 }] }),
  };
  return {
    ...blank,
    metadata: { ...blank.metadata, labels },
    spec: { ...blank.spec, vcpus: serial + 1, ...(networks === undefined ? {} : { networks }) },
    status: { ...blank.status, addresses },
    ...(node === undefined ? {} : { assignment }),
  };
}

/** What sums go by of what is plain; undefined for what is not. */
function gist({ metadata, spec, status, assignment }: InstanceResource): unknown {
  const [network = "", ...others] = spec.networks ?? [];
  const [held, ...more] = status.addresses;
  const { former = [], removal } = assignment ?? {};
  if (others.length + more.length + former.length > 0 || removal !== undefined) return undefined;
  const { project, name } = metadata;
  const address = held?.address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0) ?? 0;
  if (Number.isNaN(address)) return undefined;
  const amounts = { vcpus: spec.vcpus, memoryMiB: spec.memoryMiB };
  return { project, name, nodeId: assignment?.nodeId ?? "", ...amounts, network, address };
}

function check(store: Store): void {
  const all = store.list("Instance");
  const found: unknown[] = [];
  store.plains("Instance", ({ project, key, nodeId, vcpus, memoryMiB, network, address }) => {
    found.push({ project, name: key.name, nodeId, vcpus, memoryMiB, network, address });
  });
  assert.deepEqual(
    found,
    all.map(gist).filter((one) => one !== undefined),
  );
  assert.deepEqual(
    [...store.notables("Instance")],
    all.filter((one) => gist(one) === undefined),
  );
  const { documents } = store;
  const keyed = (found: Iterable<{ readonly key: Key }>): unknown[] =>
    [...found].map(({ key }) => [key.project, key.name]);
  const wanted = (
    project: string | undefined,
    after: Key | undefined,
    is: (object: InstanceResource) => boolean,
  ): unknown[] =>
    all
      .filter(({ metadata }) => project === undefined || metadata.project === project)
      .filter(
        ({ metadata }) =>
          after === undefined || `${metadata.project} ${metadata.name}` > `${after.project} ${after.name}`,
      )
      .filter(is)
      .map(({ metadata }) => [metadata.project, metadata.name]);
  for (const project of [undefined, "p", "q"])
    for (const after of [undefined, { project: "p", name: "i-15" }]) {
      for (const [key, value] of [
        ["app", "web"],
        ["tier", ""],
        ["x", "a_b.C"],
        ["none", "web"],
      ] as const)
        assert.deepEqual(
          keyed(documents.documents("Instance", project, after, [[key, value]])),
          wanted(project, after, ({ metadata }) => metadata.labels[key] === value),
          `${key}=${value} of ${project} after ${after?.name}`,
        );
      for (const node of [...nodes, "nod_3"])
        assert.deepEqual(
          keyed(documents.onNode("Instance", node, project, after)),
          wanted(project, after, ({ assignment }) => assignment?.nodeId === node && assignment.removal?.done !== true),
          `on ${node} of ${project} after ${after?.name}`,
        );
    }
}

/** What is found without reading all objects. */
export function indexContract(backend: Backend): void {
  describe("indexes", () => {
    test("labels, nodes and what sums go by are those of the objects, before and after a restart", async (t) => {
      t.diagnostic(`seed ${seed} (SKERRY_TEST_SEED)`);
      const place = await placeFor(t, backend);
      for (const wishes of fc.sample(fc.array(wish, { minLength: 40, maxLength: 60, size: "max" }), {
        numRuns: 4,
        seed,
      })) {
        const store = await place.open();
        for (const one of wishes) {
          await store.transact((tx) => {
            const object = objectOf(one);
            const holder = tx.get("Instance", object.metadata);
            if (holder !== undefined && holder.metadata.id !== object.metadata.id) return;
            if (one.isGone) tx.delete("Instance", object.metadata.id);
            else tx.put(object);
          });
        }
        check(store);
        await store.close();
        const again = await place.open();
        check(again);
        await again.close();
      }
    });
  });
}
