import assert from "node:assert/strict";
import type { OrganisationResource, ProjectResource, Usage } from "@skerry/model";
import type { View } from "@skerry/store";

/** What some projects have, counted anew from all objects in the plainest way. */
export function countedUsage(view: View, isOf: (project: string) => boolean): Usage {
  const instances = view.list("Instance").filter(({ metadata }) => isOf(metadata.project ?? ""));
  const volumes = view.list("Volume").filter(({ metadata }) => isOf(metadata.project ?? ""));
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  return {
    instances: instances.length,
    vcpus: sum(instances.map(({ spec }) => spec.vcpus)),
    memoryMiB: sum(instances.map(({ spec }) => spec.memoryMiB)),
    storageMiB: sum(volumes.map(({ spec }) => spec.sizeMiB)),
    addresses: sum(instances.map(({ status }) => status.addresses.length)),
    gpus: sum(
      instances.map(({ spec }) =>
        sum((spec.devices ?? []).map(({ kind, count }) => (kind === "gpu" ? (count ?? 1) : 0))),
      ),
    ),
  };
}

export function countedOfOrganisation(view: View, organisation: string): Usage {
  const projects = view.list("Project").filter(({ spec }) => spec.organisation === organisation);
  const names = new Set(projects.map(({ metadata }) => metadata.name));
  return countedUsage(view, (project) => names.has(project));
}

/** What replies say that projects and organisations have is what is there. */
export function checkUsage(
  view: View,
  freshen: <R extends ProjectResource | OrganisationResource>(resource: R) => R,
): void {
  for (const project of view.list("Project")) {
    const { name } = project.metadata;
    const counted = countedUsage(view, (one) => one === name);
    assert.deepEqual(freshen(project).status.usage, counted, `what the project ${name} has`);
  }
  for (const organisation of view.list("Organisation")) {
    const { name } = organisation.metadata;
    const counted = countedOfOrganisation(view, name);
    assert.deepEqual(freshen(organisation).status.usage, counted, `what the organisation ${name} has`);
  }
}
