import type { InstanceResource, KindName, ResourceOf, VolumeResource } from "@skerry/model";
import type { Before, ChangeEvent, OwnChange, Store, Tracker, Transaction, View } from "@skerry/store";
import { OwnChanges } from "../../own-changes.ts";
import { SiteAmounts, ratesOf, sinceMsOf } from "../metering/amounts.ts";
import { meterName } from "../metering/metering.ts";
import { monthOf, overlapMs, spanOfMonth, type Span } from "../metering/month.ts";
import { costsOf, moneyWords, type Costs } from "../metering/usage-report.ts";

/** What a month comes to, in millionths of the quota's currency, and what is priced in others. */
export interface Spend {
  readonly thisMonth: Costs;
  readonly nextMonth: Costs;
}

interface Sum {
  /** Until the month's end, if nothing changes any more. */
  readonly thisMonth: SiteAmounts;
  /** Of what is there now, for the whole of the month after. */
  readonly nextMonth: SiteAmounts;
}

/** Where prices are looked up, and whether what they come to may be kept for others. */
interface Prices {
  readonly view: View;
  readonly keeps: boolean;
}

type MaybeOwn = View & Partial<Pick<Transaction, "written">>;
const none: ReadonlyMap<string, Sum> = new Map();
const nothing: Costs = { own: 0n, others: 0n };

type Metered = InstanceResource | VolumeResource;

/**
 * What the month will have cost each project by its end, and what the next one will, if all stays as it is: the report of usage of both months,
 * beforehand. Counted for those projects that a limit of spend asks of, at the first time in a month by going through what they have (a
 * millisecond for some hundreds of instances), and from then on kept up with each change.
 */
export class SpendBook implements Tracker {
  readonly #sums = new Map<string, Sum>();
  #month: Span = { startMs: 0, endMs: 0 };
  #next: Span = { startMs: 0, endMs: 0 };
  /** Of each project, whose it is. */
  readonly #organisations = new Map<string, string>();
  /** What sums cost, as long as neither they nor prices change: by project, or by organisation after a slash what gone projects had; by currency. */
  readonly #known = new Map<string, Map<string, Spend>>();
  /** The newest state, durable or in flight. */
  #newest: View | undefined;
  /** When the transaction runs whose own changes are asked for. */
  #nowMs = 0;
  readonly #own = new OwnChanges(
    () => new Map<string, Sum>(),
    (sums, changes: readonly OwnChange[], tx) => {
      for (const { event, before } of changes) {
        if (event.object.kind !== "Instance" && event.object.kind !== "Volume") continue;
        const project = event.project ?? "";
        const sum = sums.get(project) ?? noSum();
        sums.set(project, sum);
        // What was until now stays as it was: the transaction's end meters that.
        const since = (): number => this.#nowMs;
        if (before?.kind === "Instance" || before?.kind === "Volume") this.#add(sum, before, tx, since, -1);
        if (event.type !== "deleted") this.#add(sum, event.object, tx, since, 1);
      }
    },
  );
  readonly #stop: () => void;

  constructor(store: Pick<Store, "track">) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  reset(newest: View): void {
    this.#newest = newest;
    this.#forget();
    this.#organisations.clear();
    for (const { metadata, spec } of newest.scan("Project")) this.#organisations.set(metadata.name, spec.organisation);
  }

  applied(events: readonly ChangeEvent[], newest: View, before: Before): void {
    for (const [index, event] of events.entries()) this.#apply(event, before[index], newest);
  }

  /** @param view a transaction with what it has changed itself; any other is taken for the newest */
  of(kind: "Project" | "Organisation", name: string, currency: string, view: MaybeOwn, nowMs: number): Spend {
    this.#turnTo(nowMs);
    const own = view.written === undefined || view.written.length === 0 ? none : this.#own.of(view.written, view);
    // A transaction that changes a site may have prices of its own, which are nobody else's.
    const changesSite = view.written?.some(({ event }) => event.kind === "Site") === true;
    const prices = changesSite ? { view, keeps: false } : { view: this.#newest ?? view, keeps: true };
    if (kind === "Project") return this.#ofProject(name, currency, prices, own);
    let total = this.#ofGone(name, currency, prices);
    const add = (project: string): void => {
      const { thisMonth, nextMonth } = this.#ofProject(project, currency, prices, own);
      total = { thisMonth: plus(total.thisMonth, thisMonth), nextMonth: plus(total.nextMonth, nextMonth) };
    };
    for (const [project, organisation] of this.#organisations) if (organisation === name) add(project);
    for (const project of own.keys())
      if (!this.#organisations.has(project) && view.get("Project", { name: project })?.spec.organisation === name)
        add(project);
    return total;
  }

  #ofProject(name: string, currency: string, { view, keeps }: Prices, own: ReadonlyMap<string, Sum>): Spend {
    const change = own.get(name);
    const isKept = keeps && change === undefined && this.#organisations.has(name);
    const known = isKept ? this.#known.get(name)?.get(currency) : undefined;
    if (known !== undefined) return known;
    const { thisMonth, nextMonth } = this.#sumOf(name);
    const spend = {
      thisMonth: costsOf(view, merged(thisMonth, change?.thisMonth), this.#month, currency),
      nextMonth: costsOf(view, merged(nextMonth, change?.nextMonth), this.#next, currency),
    };
    if (isKept) this.#remember(name, currency, spend);
    return spend;
  }

  /** Of projects that are gone by now: all of it is in their meters. */
  #ofGone(organisation: string, currency: string, { view, keeps }: Prices): Spend {
    const key = `/${organisation}`;
    const known = keeps ? this.#known.get(key)?.get(currency) : undefined;
    if (known !== undefined) return known;
    const month = monthOf(this.#month.startMs);
    let thisMonth = nothing;
    for (const { metadata, spec, status } of this.#newest?.list("Meter") ?? []) {
      if (spec.month !== month || spec.organisation !== organisation) continue;
      const there = this.#newest?.get("Project", { name: metadata.project ?? "" });
      if (there !== undefined && metadata.name === meterName(month, there.metadata.id)) continue;
      const sites = new SiteAmounts();
      for (const site of status.sites) sites.addMetered(site);
      thisMonth = plus(thisMonth, costsOf(view, sites, this.#month, currency));
    }
    const spend = { thisMonth, nextMonth: nothing };
    if (keeps) this.#remember(key, currency, spend);
    return spend;
  }

  #remember(key: string, currency: string, spend: Spend): void {
    const others = this.#known.get(key);
    if (others === undefined) this.#known.set(key, new Map([[currency, spend]]));
    else others.set(currency, spend);
  }

  #forget(): void {
    this.#sums.clear();
    this.#known.clear();
  }

  #turnTo(nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs >= this.#month.startMs && nowMs < this.#month.endMs) return;
    this.#forget();
    this.#month = spanOfMonth(monthOf(nowMs));
    this.#next = spanOfMonth(monthOf(this.#month.endMs));
  }

  #sumOf(name: string): Sum {
    const known = this.#sums.get(name);
    if (known !== undefined) return known;
    const sum = noSum();
    const newest = this.#newest;
    const project = newest?.get("Project", { name });
    if (newest === undefined || project === undefined) return sum;
    const key = { project: name, name: meterName(monthOf(this.#month.startMs), project.metadata.id) };
    for (const site of newest.get("Meter", key)?.status.sites ?? []) sum.thisMonth.addMetered(site);
    for (const object of [...newest.list("Instance", name), ...newest.list("Volume", name)])
      this.#add(sum, object, newest, sinceMsOf, 1);
    this.#sums.set(name, sum);
    return sum;
  }

  #apply(event: ChangeEvent, before: ResourceOf<KindName> | undefined, newest: View): void {
    const { object, type, name, project = "" } = event;
    switch (object.kind) {
      case "Node":
        // All that is on it is elsewhere now.
        if (before?.kind === "Node" && (type === "deleted" || before.spec.site !== object.spec.site)) this.#forget();
        return;
      case "Site":
        return this.#known.clear();
      case "Project":
        if (type === "deleted") this.#organisations.delete(name);
        else this.#organisations.set(name, object.spec.organisation);
        // One of the same name is another one, and what a project leaves its organisation still has.
        if (before === undefined || type === "deleted") this.#sums.delete(name);
        return this.#known.clear();
      case "Meter": {
        const sum = this.#sumToChange(project);
        const month = monthOf(this.#month.startMs);
        const there = newest.get("Project", { name: project });
        if (sum === undefined || object.spec.month !== month || there === undefined) return;
        if (name !== meterName(month, there.metadata.id)) return;
        if (before?.kind === "Meter") for (const site of before.status.sites) sum.thisMonth.addMetered(site, -1);
        if (type !== "deleted") for (const site of object.status.sites) sum.thisMonth.addMetered(site);
        return;
      }
      case "Instance":
      case "Volume": {
        const sum = this.#sumToChange(project);
        if (sum === undefined) return;
        if (before?.kind === "Instance" || before?.kind === "Volume") this.#add(sum, before, newest, sinceMsOf, -1);
        if (type !== "deleted") this.#add(sum, object, newest, sinceMsOf, 1);
        return;
      }
      default:
    }
  }

  /** Undefined where nobody has asked for it. */
  #sumToChange(project: string): Sum | undefined {
    const sum = this.#sums.get(project);
    if (sum === undefined) return undefined;
    this.#known.delete(project);
    return sum;
  }

  #add(sum: Sum, object: Metered, view: View, sinceMs: (object: Metered) => number, sign: 1 | -1): void {
    const { assignment } = object;
    const site = assignment === undefined ? undefined : view.getById("Node", assignment.nodeId)?.spec.site;
    if (site === undefined) return;
    const rates = ratesOf(object);
    const ms = overlapMs({ startMs: sinceMs(object), endMs: this.#month.endMs }, this.#month);
    sum.thisMonth.add(site, rates, sign * ms);
    sum.nextMonth.add(site, rates, sign * (this.#next.endMs - this.#next.startMs));
  }
}

function noSum(): Sum {
  return { thisMonth: new SiteAmounts(), nextMonth: new SiteAmounts() };
}

function merged(one: SiteAmounts, other: SiteAmounts | undefined): SiteAmounts {
  if (other === undefined) return one;
  const total = new SiteAmounts();
  for (const part of [one, other]) for (const [site, amounts] of part.entries()) total.addAmounts(site, amounts);
  return total;
}

function plus(one: Costs, other: Costs): Costs {
  return { own: one.own + other.own, others: one.others + other.others };
}

/** A project or organisation whose spend is limited with what its months come to, for replies; every other resource as it is. */
export function withSpend<R extends ResourceOf<KindName>>(
  book: Pick<SpendBook, "of">,
  view: View,
  nowMs: number,
  resource: R,
): R {
  if (resource.kind !== "Project" && resource.kind !== "Organisation") return resource;
  const { spend: quota } = resource.spec.quota ?? {};
  if (quota === undefined) return resource;
  const { currency } = quota;
  const { thisMonth, nextMonth } = book.of(resource.kind, resource.metadata.name, currency, view, nowMs);
  const spend = { currency, thisMonth: moneyWords(thisMonth.own), nextMonth: moneyWords(nextMonth.own) };
  return { ...resource, status: { ...resource.status, spend } };
}
