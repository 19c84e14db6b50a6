import { devicesOf, quotaFields, type KindName, type ResourceOf, type Usage } from "@skerry/model";
import type { Before, ChangeEvent, OwnChange, Store, Tracker, Transaction, View } from "@skerry/store";
import { OwnChanges } from "../../own-changes.ts";

/** As `Usage`, but being counted. */
type Sum = { -readonly [K in keyof Usage]: Usage[K] };

interface ProjectSum {
  /** Undefined while there is no such project. */
  organisation: string | undefined;
  readonly sum: Sum;
}

/** What projects and organisations have. */
export interface Used {
  ofProject(name: string): Usage;
  ofOrganisation(name: string): Usage;
}

/** What one of them has before and after a transaction. */
export interface UsageChange {
  readonly kind: "Project" | "Organisation";
  readonly name: string;
  readonly before: Usage;
  readonly after: Usage;
}

/**
 * What each project and organisation has: instances, volumes and addresses from the transaction that makes the objects until the one
 * that deletes them, which comes once no node has anything left of them. Kept up with the newest state by what changes, in a
 * transaction with its own changes, and counted only at the start: less than 1 us for each change of an instance or volume.
 */
export class UsageBook implements Tracker {
  readonly #projects = new Map<string, ProjectSum>();
  readonly #organisations = new Map<string, Sum>();
  /** What a transaction adds to each project, and takes away; also of those that it has changed themselves. */
  readonly #own = new OwnChanges(
    () => new Map<string, Sum>(),
    (corrections, changes: readonly OwnChange[]) => {
      for (const { event, before } of changes) {
        const project = isCounted(event.kind)
          ? (event.project ?? "")
          : event.kind === "Project"
            ? event.name
            : undefined;
        if (project === undefined) continue;
        const sum = corrections.get(project) ?? none();
        corrections.set(project, sum);
        count(sum, event, before);
      }
    },
  );
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** About 0.3 us for each instance with its volume. */
  reset(newest: View): void {
    this.#projects.clear();
    this.#organisations.clear();
    // Neighbours are of one project mostly.
    let [project, sum] = ["", this.#projectSum("").sum];
    const sumOf = (name: string): Sum => {
      if (name !== project) [project, sum] = [name, this.#projectSum(name).sum];
      return sum;
    };
    newest.plains("Instance", (instance) => {
      const taken = sumOf(instance.project);
      taken.instances++;
      taken.vcpus += instance.vcpus;
      taken.memoryMiB += instance.memoryMiB;
      if (instance.address !== 0) taken.addresses++;
    });
    newest.plains("Volume", (volume) => {
      sumOf(volume.project).storageMiB += volume.sizeMiB;
    });
    for (const kind of ["Instance", "Volume"] as const)
      for (const object of newest.notables(kind)) addObject(sumOf(object.metadata.project ?? ""), object, 1);
    for (const { metadata, spec } of newest.list("Project")) this.#place(metadata.name, spec.organisation);
  }

  applied(events: readonly ChangeEvent[], _newest: View, before: Before): void {
    for (const [index, event] of events.entries()) {
      if (isCounted(event.kind)) {
        const { sum, organisation } = this.#projectSum(event.project ?? "");
        count(sum, event, before[index]);
        if (organisation !== undefined) count(this.#organisationSum(organisation), event, before[index]);
      } else if (event.object.kind === "Project") {
        this.#place(event.name, event.type === "deleted" ? undefined : event.object.spec.organisation);
      }
    }
  }

  /** As this transaction has it; any other view is taken for the newest. */
  in(view: View & Partial<Pick<Transaction, "written">>): Used {
    const corrections = this.#correctionsOf(view);
    return {
      ofProject: (name) => plus(this.#projects.get(name)?.sum, corrections?.get(name)),
      ofOrganisation: (name) => {
        const total = plus(this.#organisations.get(name), undefined);
        for (const [project, sum] of corrections ?? []) {
          const known = this.#projects.get(project);
          if (known?.organisation === name) add(total, known.sum, -1);
          if (view.get("Project", { name: project })?.spec.organisation === name) add(total, plus(known?.sum, sum), 1);
        }
        return total;
      },
    };
  }

  /** What a transaction changes of what there was before it; of projects that it deletes nothing is told. */
  changesIn(tx: Transaction): readonly UsageChange[] {
    const corrections = this.#own.of(tx.written, tx);
    const used = this.in(tx);
    const projects = [...corrections.keys()].flatMap((name) => tx.get("Project", { name }) ?? []);
    const organisations = new Set(projects.map(({ spec }) => spec.organisation));
    return [
      ...projects.map((project) => ({
        ...{ kind: "Project" as const, name: project.metadata.name },
        before: plus(this.#projects.get(project.metadata.name)?.sum, undefined),
        after: used.ofProject(project.metadata.name),
      })),
      ...[...organisations].map((name) => ({
        ...{ kind: "Organisation" as const, name },
        before: plus(this.#organisations.get(name), undefined),
        after: used.ofOrganisation(name),
      })),
    ];
  }

  /** A project or organisation with what it has, for replies; every other resource as it is. */
  counted<R extends ResourceOf<KindName>>(resource: R): R {
    const { name } = resource.metadata;
    if (resource.kind === "Project")
      return { ...resource, status: { ...resource.status, usage: plus(this.#projects.get(name)?.sum, undefined) } };
    if (resource.kind === "Organisation")
      return { ...resource, status: { ...resource.status, usage: plus(this.#organisations.get(name), undefined) } };
    return resource;
  }

  #correctionsOf(view: View & Partial<Pick<Transaction, "written">>): ReadonlyMap<string, Sum> | undefined {
    return view.written === undefined || view.written.length === 0 ? undefined : this.#own.of(view.written, view);
  }

  /** Says whose a project is; what it has goes with it. */
  #place(project: string, organisation: string | undefined): void {
    const entry = this.#projectSum(project);
    if (entry.organisation !== organisation) {
      if (entry.organisation !== undefined) {
        const left = this.#organisationSum(entry.organisation);
        add(left, entry.sum, -1);
        if (isNothing(left)) this.#organisations.delete(entry.organisation);
      }
      if (organisation !== undefined) add(this.#organisationSum(organisation), entry.sum, 1);
      entry.organisation = organisation;
    }
    if (organisation === undefined && isNothing(entry.sum)) this.#projects.delete(project);
  }

  #projectSum(name: string): ProjectSum {
    const known = this.#projects.get(name);
    if (known !== undefined) return known;
    const made = { organisation: undefined, sum: none() };
    this.#projects.set(name, made);
    return made;
  }

  #organisationSum(name: string): Sum {
    const known = this.#organisations.get(name);
    if (known !== undefined) return known;
    const made = none();
    this.#organisations.set(name, made);
    return made;
  }
}

/** What of a project's a transaction has changed since it had written so much, `last` being the last of that. */
export function grownSince(
  { written }: Pick<Transaction, "written">,
  length: number,
  last: OwnChange | undefined,
  project: string,
): Usage {
  const sum = none();
  const isAmended = written[length - 1] !== last;
  if (isAmended && last?.event.project === project) count(sum, last.event, last.before, -1);
  for (let index = isAmended ? length - 1 : length; index < written.length; index++) {
    const change = written[index];
    if (change?.event.project === project) count(sum, change.event, change.before, 1);
  }
  return sum;
}

function isCounted(kind: KindName): boolean {
  return kind === "Instance" || kind === "Volume";
}

function none(): Sum {
  return { instances: 0, vcpus: 0, memoryMiB: 0, storageMiB: 0, addresses: 0, gpus: 0 };
}

function isNothing(sum: Usage): boolean {
  return quotaFields.every((field) => sum[field] === 0);
}

/** What one change adds, and what it found and takes away; with a sign of -1 as if it had not been made. */
function count(sum: Sum, event: ChangeEvent, before: ResourceOf<KindName> | undefined, sign: 1 | -1 = 1): void {
  if (before !== undefined) addObject(sum, before, sign === 1 ? -1 : 1);
  if (event.type !== "deleted") addObject(sum, event.object, sign);
}

function addObject(sum: Sum, object: ResourceOf<KindName>, sign: 1 | -1): void {
  if (object.kind === "Instance") {
    sum.instances += sign;
    sum.vcpus += sign * object.spec.vcpus;
    sum.memoryMiB += sign * object.spec.memoryMiB;
    sum.addresses += sign * object.status.addresses.length;
    if (object.spec.devices !== undefined) sum.gpus += sign * devicesOf("gpu", object.spec.devices);
  } else if (object.kind === "Volume") {
    sum.storageMiB += sign * object.spec.sizeMiB;
  }
}

/** Field by field: many of these are made for each create. */
function add(sum: Sum, other: Usage, sign: 1 | -1): void {
  sum.instances += sign * other.instances;
  sum.vcpus += sign * other.vcpus;
  sum.memoryMiB += sign * other.memoryMiB;
  sum.storageMiB += sign * other.storageMiB;
  sum.addresses += sign * other.addresses;
  sum.gpus += sign * other.gpus;
}

function plus(one: Usage | undefined, other: Usage | undefined): Sum {
  const total = none();
  if (one !== undefined) add(total, one, 1);
  if (other !== undefined) add(total, other, 1);
  return total;
}
