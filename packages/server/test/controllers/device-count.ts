import assert from "node:assert/strict";
import type { DeviceWish, NodeDevice } from "@skerry/model";
import type { View } from "@skerry/store";
import type { UsedOn } from "../../src/controllers/allocation.ts";
import type { ModelFleet } from "./model-fleet.ts";

/** Three GPUs of two models, the first with a sound of its own, and something else. */
export const devices: readonly NodeDevice[] = [
  { kind: "gpu", model: "10de:20b0", address: "0000:01:00.0", functions: ["0000:01:00.1"], iommuGroup: 1, numaCell: 0 },
  { kind: "gpu", model: "10de:20b0", address: "0000:41:00.0", iommuGroup: 2, numaCell: 1 },
  { kind: "gpu", model: "10de:2204", address: "0000:81:00.0", iommuGroup: 3, numaCell: 1 },
  { kind: "pci", model: "8086:1572", address: "0000:05:00.0", iommuGroup: 4 },
];
const addresses = devices.flatMap(({ address, functions = [] }) => [address, ...functions]);
export const deviceWishes: DeviceWish[][] = [
  [{ kind: "gpu" }],
  [{ kind: "gpu", count: 2 }],
  [{ kind: "gpu", model: "10de:20b0" }],
  [{ kind: "pci" }, { kind: "gpu", model: "10de:2204" }],
];

/** Each instance has what it asks for, of its node; what it has nobody else has. */
export function checkDevices(view: View, used: UsedOn): void {
  for (const { metadata, spec, assignment } of view.list("Instance")) {
    for (const place of [assignment, assignment?.movingTo]) {
      if (place === undefined) continue;
      const node = view.getById("Node", place.nodeId);
      const held = (place.devices ?? []).map(({ address }) => devices.find((one) => one.address === address));
      assert.ok(held.length === 0 || node?.metadata.name !== "ath-1", "what a node has not is nobody's");
      for (const { kind, model } of spec.devices ?? []) {
        const alike = (spec.devices ?? []).filter((one) => one.kind === kind && one.model === model);
        const count = alike.reduce((sum, one) => sum + (one.count ?? 1), 0);
        const fitting = held.filter((one) => one?.kind === kind && (model === undefined || one.model === model));
        assert.equal(fitting.length, count, `${metadata.name} has ${count} ${kind} ${model ?? ""}`);
      }
      const asked = (spec.devices ?? []).reduce((sum, one) => sum + (one.count ?? 1), 0);
      assert.equal(new Set(held).size, asked, `${metadata.name} has no other devices than it asks for`);
    }
  }
  for (const { metadata } of view.list("Node")) {
    for (const [address, holders] of used(metadata.id).devices ?? []) {
      assert.equal(holders, 1, `${address} of ${metadata.name} is held ${holders} times`);
      assert.ok(addresses.includes(address));
    }
  }
}

/** What runs on a host has none of its devices twice. */
export function checkGuests({ nodes }: ModelFleet): void {
  for (const { name, devicesInUse } of nodes)
    assert.equal(new Set(devicesInUse).size, devicesInUse.length, `${name}: ${devicesInUse.join(" ")}`);
}
