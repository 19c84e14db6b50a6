import { createHash } from "node:crypto";
import {
  devicesOf,
  makeId,
  type InstanceResource,
  type MeterResource,
  type NodeResource,
  type VolumeResource,
} from "@skerry/model";
import type { OwnChange, Store, Tracker, Transaction } from "@skerry/store";
import { timestamp } from "../../operations/clock.ts";
import { SiteAmounts, ratesOf, sinceMsOf } from "./amounts.ts";
import { monthsOf, spanOfMonth } from "./month.ts";

type Metered = InstanceResource | VolumeResource;

/**
 * Notes what reports of usage can't tell from what is there: what deleted things had, and what resized and moved ones had otherwise
 * before. It does so in the transaction that changes them, one meter for each project and month that the thing was there in; a
 * meter is a correction, such that with it everything counts as if it had been since it was made as it is now. So what is only made
 * costs nothing here but a look at each change, 0.05 us for a create.
 */
export class Metering implements Tracker {
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** Nothing is kept in memory. */
  reset(): void {}
  applied(): void {}

  conclude(tx: Transaction, nowMs: number): void {
    if (!tx.written.some(matters)) return;
    const corrections = new Corrections(tx, nowMs);
    const found = new Set<string>();
    const relocated = new Set<string>();
    for (const { event, before } of [...tx.written]) {
      if (before?.kind === "Node") corrections.noteNode(before);
      if (found.has(event.id)) continue;
      found.add(event.id);
      if (before?.kind === "Node" && event.type !== "deleted") relocated.add(event.id);
    }
    for (const id of relocated) {
      for (const object of [...tx.list("Instance"), ...tx.list("Volume")])
        if (object.assignment?.nodeId === id && !found.has(object.metadata.id)) corrections.note(object, object);
    }
    const seen = new Set<string>();
    for (const { event, before } of [...tx.written]) {
      if (seen.has(event.id)) continue;
      seen.add(event.id);
      if (before?.kind === "Instance" || before?.kind === "Volume")
        corrections.note(before, tx.getById(before.kind, event.id));
    }
    corrections.write();
  }
}

/** Whether a change makes something had been otherwise than it is now. */
function matters({ event, before }: OwnChange): boolean {
  if (before === undefined) return false;
  const { object, type } = event;
  switch (object.kind) {
    case "Node":
      return type === "updated" && (before as NodeResource).spec.site !== object.spec.site;
    case "Volume": {
      const { spec, assignment } = before as VolumeResource;
      return (
        type === "deleted" || spec.sizeMiB !== object.spec.sizeMiB || assignment?.nodeId !== object.assignment?.nodeId
      );
    }
    case "Instance": {
      const { spec, status, assignment } = before as InstanceResource;
      return (
        type === "deleted" ||
        spec.vcpus !== object.spec.vcpus ||
        spec.memoryMiB !== object.spec.memoryMiB ||
        devicesOf("gpu", spec.devices) !== devicesOf("gpu", object.spec.devices) ||
        status.addresses.length !== object.status.addresses.length ||
        assignment?.nodeId !== object.assignment?.nodeId
      );
    }
    default:
      return false;
  }
}

/** What one transaction corrects, by project and month. */
class Corrections {
  readonly #tx: Transaction;
  readonly #nowMs: number;
  /** As nodes were before this transaction, where it has changed them. */
  readonly #nodes = new Map<string, NodeResource>();
  readonly #sums = new Map<string, { readonly project: string; readonly month: string; readonly sites: SiteAmounts }>();

  constructor(tx: Transaction, nowMs: number) {
    this.#tx = tx;
    this.#nowMs = nowMs;
  }

  noteNode(before: NodeResource): void {
    if (!this.#nodes.has(before.metadata.id)) this.#nodes.set(before.metadata.id, before);
  }

  /** @param after undefined where it is gone */
  note(before: Metered, after: Metered | undefined): void {
    const { project } = before.metadata;
    const [was, is] = [ratesOf(before), after === undefined ? undefined : ratesOf(after)];
    const siteBefore = this.#siteOf(before.assignment?.nodeId, true);
    const siteAfter = this.#siteOf(after?.assignment?.nodeId, false);
    if (project === undefined) return;
    for (const { month, ms } of monthsOf({ startMs: sinceMsOf(before), endMs: this.#nowMs })) {
      const sites = this.#sitesOf(project, month);
      if (siteBefore !== undefined) sites.add(siteBefore, was, ms);
      if (is !== undefined && siteAfter !== undefined) sites.add(siteAfter, is, -ms);
    }
  }

  write(): void {
    for (const { project: name, month, sites } of this.#sums.values()) {
      if (sites.entries().length === 0) continue;
      const project = this.#tx.get("Project", { name });
      if (project === undefined) continue;
      const key = { project: name, name: meterName(month, project.metadata.id) };
      const known = this.#tx.get("Meter", key);
      for (const site of known?.status.sites ?? []) sites.addMetered(site);
      const status = {
        sites: sites.entries().map(([site, { vcpuMs, memoryMiBMs, storageMiBMs, addressMs, gpuMs }]) => ({
          site,
          vcpuMs: String(vcpuMs),
          memoryMiBMs: String(memoryMiBMs),
          storageMiBMs: String(storageMiBMs),
          addressMs: String(addressMs),
          ...(gpuMs === 0n ? {} : { gpuMs: String(gpuMs) }),
        })),
      };
      this.#tx.put<MeterResource>({
        ...(known ?? this.#made(key, month, project.spec.organisation, project.metadata.id)),
        status,
      });
    }
  }

  #made(
    key: { readonly project: string; readonly name: string },
    month: string,
    organisation: string,
    projectId: string,
  ): MeterResource {
    const createdAt = timestamp(this.#nowMs);
    // There is one of each: its id follows from what it is of.
    const random = createHash("sha256").update(projectId).digest().subarray(0, 10);
    const id = makeId("mtr", spanOfMonth(month).startMs, random);
    return {
      kind: "Meter",
      metadata: { ...key, id, revision: 0, generation: 1, labels: {}, createdAt, updatedAt: createdAt },
      spec: { month, organisation },
      status: { sites: [] },
    };
  }

  #siteOf(nodeId: string | undefined, before: boolean): string | undefined {
    if (nodeId === undefined) return undefined;
    const old = this.#nodes.get(nodeId);
    const now = this.#tx.getById("Node", nodeId);
    return (before ? (old ?? now) : (now ?? old))?.spec.site;
  }

  #sitesOf(project: string, month: string): SiteAmounts {
    const key = `${project} ${month}`;
    const known = this.#sums.get(key);
    if (known !== undefined) return known.sites;
    const made = { project, month, sites: new SiteAmounts() };
    this.#sums.set(key, made);
    return made.sites;
  }
}

/** A project of the same name that is made later is another one. */
export function meterName(month: string, projectId: string): string {
  return `m-${month}-${projectId.slice(projectId.indexOf("_") + 1)}`;
}
