import { isDeepStrictEqual } from "node:util";
import type { CostEffect, InstanceResource, MonthlyCost, VolumeResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import type { Fleet } from "../controllers/fleet.ts";
import { ratesOf, type Rates } from "../controllers/metering/amounts.ts";
import { isBelow, less, monthlyCost } from "../controllers/metering/monthly-cost.ts";
import { hasDevices } from "../controllers/devices.ts";
import { requestOf, violationsOn } from "../controllers/placing.ts";

type Costly = InstanceResource | VolumeResource;

/** An instance with its volume, or a volume that has none, before and after a transaction. */
interface Subject {
  readonly kind: "Instance" | "Volume";
  readonly project: string;
  readonly name: string;
  readonly before: Costly[];
  readonly after: Costly[];
}

/** Searches for the sites that a placement allows go through all nodes: so many different ones in one plan, and no more. */
const mostSearches = 8;

/** What a rehearsed transaction, its deletions carried out, means for the cost of a month of what the principal may see: a line for each thing that would cost otherwise. */
export function costEffects(
  fleet: Pick<Fleet, "in">,
  tx: Transaction,
  principal: Principal,
  month: string,
): readonly CostEffect[] {
  const search = new SiteSearch(fleet, tx);
  return subjectsOf(tx).flatMap(({ kind, project, name, before, after }) => {
    // Of an instance the cost has that of its volume in it.
    if (![...before, ...after].every((object) => sees(principal, object))) return [];
    const was = before.length === 0 ? undefined : costNow(tx, before, month, "settled");
    const is = after.length === 0 ? undefined : costNow(tx, after, month, before.length === 0 ? "foreseen" : "settled");
    if (isDeepStrictEqual(was, is)) return [];
    const range = is?.place === "foreseen" ? search.rangeOf(after, month) : undefined;
    // Where no other site would do, it is known where it comes.
    const isCertain = range?.sites === 1;
    const placed = is === undefined || !isCertain ? is : { ...is, place: "settled" as const };
    const difference = differenceOf(was, is);
    return [
      {
        ...{ kind, name, project, month },
        ...(was === undefined ? {} : { before: was }),
        ...(placed === undefined ? {} : { after: range === undefined || isCertain ? placed : { ...placed, range } }),
        ...(difference === undefined ? {} : { difference }),
      },
    ];
  });
}

function subjectsOf(tx: Transaction): readonly Subject[] {
  const subjects = new Map<string, Subject>();
  const seen = new Set<string>();
  for (const { event, before } of tx.written) {
    const { kind, project, id } = event;
    if ((kind !== "Instance" && kind !== "Volume") || project === undefined || seen.has(id)) continue;
    seen.add(id);
    const now = tx.getById(kind, id);
    const was = before?.kind === "Instance" || before?.kind === "Volume" ? before : undefined;
    const name = event.object.kind === "Volume" ? (event.object.spec.instance ?? event.name) : event.name;
    const subject = subjectAt(subjects, project, name);
    add(subject.before, was);
    add(subject.after, now);
  }
  // The other half of those of which only one was changed.
  for (const { project, name, before, after } of subjects.values()) {
    for (const kind of ["Instance", "Volume"] as const) {
      const other = tx.get(kind, { project, name });
      if (other === undefined || seen.has(other.metadata.id)) continue;
      if (other.kind === "Volume" && other.spec.instance !== name) continue;
      add(before, other);
      add(after, other);
    }
  }
  return [...subjects.values()].map((subject) => {
    const hasInstance = [...subject.before, ...subject.after].some(({ kind }) => kind === "Instance");
    return { ...subject, kind: hasInstance ? "Instance" : "Volume" };
  });
}

function subjectAt(subjects: Map<string, Subject>, project: string, name: string): Subject {
  const key = `${project}/${name}`;
  const known = subjects.get(key);
  if (known !== undefined) return known;
  const made: Subject = { kind: "Instance", project, name, before: [], after: [] };
  subjects.set(key, made);
  return made;
}

function add(to: Costly[], object: Costly | undefined): void {
  if (object !== undefined) to.push(object);
}

function costNow(view: View, objects: readonly Costly[], month: string, place: MonthlyCost["place"]): MonthlyCost {
  const site = siteOf(view, objects);
  const cost = site === undefined ? undefined : monthlyCost(view, site, sumOf(objects), month);
  return {
    ...(site === undefined ? {} : { site }),
    place,
    ...(cost === undefined ? {} : { cost: { currency: cost.currency, total: cost.total } }),
    ...(cost === undefined || cost.unpriced.length === 0 ? {} : { unpriced: [...cost.unpriced] }),
  };
}

/** Where it is, or is to be after a move. */
function siteOf(view: View, objects: readonly Costly[]): string | undefined {
  const instance = objects.find((object) => object.kind === "Instance");
  const nodeId = instance?.assignment?.movingTo?.nodeId ?? objects[0]?.assignment?.nodeId;
  return nodeId === undefined ? undefined : view.getById("Node", nodeId)?.spec.site;
}

function sumOf(objects: readonly Costly[]): Rates {
  const sum = { vcpus: 0, memoryMiB: 0, storageMiB: 0, addresses: 0, gpus: 0 };
  for (const object of objects) {
    const { vcpus, memoryMiB, storageMiB, addresses, gpus } = ratesOf(object);
    sum.vcpus += vcpus;
    sum.memoryMiB += memoryMiB;
    sum.storageMiB += storageMiB;
    sum.addresses += addresses;
    sum.gpus += gpus;
  }
  return sum;
}

function differenceOf(
  before: MonthlyCost | undefined,
  after: MonthlyCost | undefined,
): CostEffect["difference"] | undefined {
  if ((before !== undefined && before.cost === undefined) || (after !== undefined && after.cost === undefined))
    return undefined;
  const [was, is] = [before?.cost, after?.cost];
  const currency = is?.currency ?? was?.currency;
  if (currency === undefined || (was !== undefined && was.currency !== currency)) return undefined;
  return { currency, total: less(is?.total ?? "0.0", was?.total ?? "0.0") };
}

/** Finds the sites that placements allow, each placement once. */
class SiteSearch {
  readonly #fleet: Pick<Fleet, "in">;
  readonly #tx: Transaction;
  readonly #found = new Map<string, readonly string[]>();

  constructor(fleet: Pick<Fleet, "in">, tx: Transaction) {
    this.#fleet = fleet;
    this.#tx = tx;
  }

  /** Undefined where too many were searched for before. */
  rangeOf(objects: readonly Costly[], month: string): MonthlyCost["range"] {
    const instance = objects.find((object) => object.kind === "Instance");
    const sites = instance === undefined ? undefined : this.#sitesFor(instance);
    if (sites === undefined || sites.length === 0) return undefined;
    const rates = sumOf(objects);
    const costs = new Map<string, { currency: string; least: string; most: string }>();
    let unknown = 0;
    for (const site of sites) {
      const cost = monthlyCost(this.#tx, site, rates, month);
      if (cost === undefined || cost.unpriced.length > 0) {
        unknown += 1;
        continue;
      }
      const { currency, total } = cost;
      const known = costs.get(currency) ?? { currency, least: total, most: total };
      const least = isBelow(total, known.least) ? total : known.least;
      const most = isBelow(known.most, total) ? total : known.most;
      costs.set(currency, { currency, least, most });
    }
    const sorted = [...costs.values()].toSorted((one, other) => (one.currency < other.currency ? -1 : 1));
    return { sites: sites.length, unknown, costs: sorted };
  }

  #sitesFor(instance: InstanceResource): readonly string[] | undefined {
    const request = requestOf(this.#tx, instance);
    const key = JSON.stringify([request.constraints, request.devices]);
    const known = this.#found.get(key);
    if (known !== undefined || this.#found.size >= mostSearches) return known;
    const sites = new Set<string>();
    for (const candidate of this.#fleet.in(this.#tx)) {
      if (sites.has(candidate.site) || !hasDevices(request, candidate)) continue;
      if (violationsOn(request, candidate).length === 0) sites.add(candidate.site);
    }
    const found = [...sites];
    this.#found.set(key, found);
    return found;
  }
}
