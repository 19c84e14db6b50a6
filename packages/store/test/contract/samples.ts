import { makeId } from "@skerry/model";
import type { InstanceResource, OrganisationResource } from "@skerry/model";

const time = "2026-01-01T00:00:00.000Z";

function id(prefix: string, serial: number): string {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, serial);
  return makeId(prefix, 0, random);
}

/** An instance; equal serials make equal ids. */
export function instance(serial: number, name: string, project = "default"): InstanceResource {
  return {
    kind: "Instance",
    metadata: {
      name,
      project,
      id: id("ins", serial),
      revision: 0,
      generation: 1,
      labels: {},
      createdAt: time,
      updatedAt: time,
    },
    spec: { vcpus: 1, memoryMiB: 128, image: "tiny" },
    status: { state: "pending", health: "unknown", addresses: [], conditions: [] },
  };
}

/** An object of a kind outside projects. */
export function organisation(serial: number, name: string): OrganisationResource {
  return {
    kind: "Organisation",
    metadata: { name, id: id("org", serial), revision: 0, generation: 1, labels: {}, createdAt: time, updatedAt: time },
    spec: {},
    status: {},
  };
}
