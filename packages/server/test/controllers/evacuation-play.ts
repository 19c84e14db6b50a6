import assert from "node:assert/strict";
import type { InstanceResource, OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { isOver } from "../../src/operations/transitions.ts";
import type { FleetSuite } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, create, imageSpec, instanceSpec, seedZone } from "./zone-fixture.ts";

/** A zone of `count` nodes more at each of the three sites, and of two projects. */
export function wideZone(count: number): (suite: FleetSuite) => Promise<void> {
  return async ({ store, fleet }) => {
    await fleet.startServer();
    const { intents } = fleet.controllers;
    const nowMs = fleet.clock.nowMs();
    await seedZone(store, intents, nowMs);
    await store.transact((tx) => {
      create(tx, intents, "Project", { name: "lab" }, { organisation: "acme" }, nowMs);
      const image = create(tx, intents, "Image", { name: "islet", project: "lab" }, imageSpec, nowMs).resource;
      tx.put({ ...image, status: { state: "ready" } } as typeof image);
      for (const site of ["madrid", "paris", "athens"])
        for (let number = 2; number < count + 2; number++) {
          const name = `${site.slice(0, 3)}-${number}`;
          create(tx, intents, "Node", { name }, { site }, nowMs);
          const stored = tx.get("Node", { name }) ?? assert.fail();
          tx.put({ ...stored, status: { ...stored.status, publicKey: `key of ${name}` } });
        }
    });
    fleet.addNodes();
    await fleet.calm();
  };
}

/** Makes running instances that start out on a node. */
export async function fill(
  { store, fleet }: FleetSuite,
  node: string,
  names: readonly string[],
  change: { readonly project?: string; readonly labels?: Record<string, string>; readonly stays?: boolean } = {},
): Promise<void> {
  const { project = "shop", labels = {}, stays = false } = change;
  await store.transact((tx) => {
    for (const name of names) {
      const { networks: _one, ...spec } = instanceSpec;
      const placed = { ...spec, placement: { nodes: [node] } };
      const made = create(
        tx,
        fleet.controllers.intents,
        "Instance",
        { name, project, labels },
        placed,
        fleet.clock.nowMs(),
      ).resource as InstanceResource;
      if (!stays) tx.put({ ...made, spec });
    }
  });
  await fleet.calm();
}

export async function begin(
  { store, fleet }: FleetSuite,
  kind: "Node" | "Site" | "Provider",
  name: string,
  input: object = {},
): Promise<() => OperationResource> {
  const { result } = await store.transact((tx) => {
    const subject = tx.get(kind, { name }) ?? assert.fail(`no ${kind} ${name}`);
    const verb = kind === "Node" ? "drain" : "evacuate";
    return act(tx, fleet.controllers.intents, subject, verb, { ...input }, fleet.clock.nowMs());
  });
  const id = result.operation?.metadata.id ?? assert.fail("nothing was begun");
  return () => store.getById("Operation", id) ?? assert.fail("it is gone");
}

/** Nodes and server work until `done`, at most for so many minutes; `hung` ones report, and do nothing of what they are told. */
export async function workUntil(
  fleet: ModelFleet,
  done: () => boolean,
  minutes: number,
  hung: ReadonlySet<string> = new Set(),
  tickMs = 5000,
): Promise<void> {
  const endMs = fleet.clock.nowMs() + minutes * 60_000;
  while (!done() && fleet.clock.nowMs() < endMs) {
    for (const node of fleet.nodes) {
      await fleet.link(node);
      if (!hung.has(node.name)) {
        fleet.deliver(node);
        while (node.act());
      }
      await fleet.report(node);
    }
    await fleet.tick(tickMs);
  }
  assert.ok(done(), `not done in ${minutes} minutes`);
}

export function isEnded(operation: () => OperationResource): () => boolean {
  return () => isOver(operation().status.state);
}

export function namesOn(store: Store, node: string): readonly string[] {
  return store
    .list("Instance")
    .filter(({ assignment }) => assignment?.node === node)
    .map(({ metadata }) => metadata.name);
}
