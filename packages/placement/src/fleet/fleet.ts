import type { Capacity } from "@skerry/model";
import { cellShare, offeredBy } from "../candidate.ts";
import type { Candidate, Cell, Spare } from "../candidate.ts";
import type { PlacementRequest } from "../request.ts";
import { refreshAll } from "./bounds.ts";
import {
  copyColumns,
  devicesPlace,
  fact,
  factStride,
  flag,
  integer,
  loadStride,
  makeColumns,
  maxCells,
  maxDeviceKinds,
  real,
  slotsPerBlock,
  special,
  specialStride,
} from "./columns.ts";
import type { Columns } from "./columns.ts";
import { LatencyTables } from "./latency-table.ts";
import { NameOrder } from "./name-order.ts";
import { SizeTables } from "./size-table.ts";
import { SlotFinder } from "./slot-finder.ts";
import { StaleBlocks } from "./stale-blocks.ts";
import { Words } from "./words.ts";

export interface FleetOptions {
  /** Whether other threads can have the columns too. */
  readonly shared?: boolean;
  /** Nodes that it has room for before it must be laid out anew. */
  readonly room?: number;
}

/** What was taken on a node, to be given back. */
export interface Reservation {
  readonly id: string;
  readonly size: Readonly<Capacity>;
  readonly hugepagesMiB: number;
  readonly devices: Readonly<Record<string, number>>;
  /** Which NUMA cells, and what of each. */
  readonly cells: readonly number[];
  readonly share: Cell;
}

/** How many changes are remembered. */
const changesKept = 1024;

/**
 * Nodes as columns with bounds (columns.ts), changed in place: a node that is used more or less costs about 1 us with the mending of
 * its bounds, a new one or one less a pass over all names before the next decision (settle).
 */
export class NodeFleet {
  readonly words: Words;
  readonly latencies = new LatencyTables(this);
  readonly sizes = new SizeTables();
  /** Replaced where it grows. */
  columns: Columns;
  /** Rises when slots or ranks mean something else than before. */
  generation = 0;
  /** Rises when a node is at a slot where none of its locale was. */
  layouts = 0;
  /** All changes of nodes so far. */
  changes = 0;
  readonly #changed = new Int32Array(changesKept);
  readonly #shared: boolean;
  #candidates: (Candidate | undefined)[] = [];
  #slots = new Map<string, number>();
  #order = new NameOrder();
  readonly #stale = new StaleBlocks();
  #finder: SlotFinder;
  #specials = 1;

  constructor(nodes: readonly Candidate[] = [], { shared = false, room = 0 }: FleetOptions = {}, words = new Words()) {
    this.#shared = shared;
    this.words = words;
    this.columns = makeColumns({ slots: slotsFor(Math.max(room, nodes.length)), specials: 1 }, shared);
    this.#finder = new SlotFinder(this.columns.limits.slots);
    this.#layOut(nodes, Math.max(room, nodes.length));
  }

  /** One of its own with the same nodes, whatever becomes of this one: about 0.6 us a node. */
  copy(): NodeFleet {
    this.settle();
    this.mend();
    const twin = new NodeFleet([], {}, new Words(this.words));
    twin.columns = copyColumns(this.columns);
    twin.#candidates = [...this.#candidates];
    twin.#slots = new Map(this.#slots);
    twin.#order = new NameOrder(this.#order);
    twin.#finder = new SlotFinder(this.columns.limits.slots, this.#finder);
    twin.#specials = this.#specials;
    twin.generation += 1;
    twin.layouts += 1;
    return twin;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** In no order. */
  *nodes(): Generator<Candidate, undefined, void> {
    for (const slot of this.#slots.values()) yield this.at(slot);
  }

  slotOf(id: string): number | undefined {
    return this.#slots.get(id);
  }

  named(name: string): Candidate | undefined {
    const slot = this.#order.slotOf(name);
    return slot === undefined ? undefined : this.at(slot);
  }

  slotNamed(name: string): number | undefined {
    return this.#order.slotOf(name);
  }

  localeAt(slot: number): number {
    return integer(this.columns.facts, slot * factStride + fact.locale);
  }

  idAt(slot: number): string {
    return this.#candidates[slot]?.id ?? "";
  }

  /** The node at a slot as it is now. @throws RangeError where there is none */
  at(slot: number): Candidate {
    const node = this.#candidates[slot];
    if (node === undefined) throw new RangeError(`there is no node at slot ${slot}`);
    const used = this.#usedAt(slot);
    const spare = this.#spareAt(slot);
    return spare === undefined ? { ...node, used } : { ...node, used, spare };
  }

  #usedAt(slot: number): Capacity {
    const { load } = this.columns;
    const base = slot * loadStride;
    return { vcpus: real(load, base), memoryMiB: real(load, base + 2), diskMiB: real(load, base + 4) };
  }

  /** Adds a node, or takes it as it is now. */
  put(node: Candidate): void {
    const known = this.#slots.get(node.id);
    if (known !== undefined && this.#candidates[known]?.name !== node.name) this.remove(node.id);
    const slot = this.#slots.get(node.id) ?? this.#finder.take(node);
    if (slot === undefined || (node.spare !== undefined && this.#specials >= this.columns.limits.specials)) {
      this.#layOut([...this.nodes()].filter(({ id }) => id !== node.id).concat(node), 2 * this.size + 2);
      return;
    }
    const isNew = !this.#slots.has(node.id);
    const change = this.#write(slot, node);
    if (isNew) this.#order.add(node.name, slot);
    if (isNew) this.#note(slot, "all");
    else if (change !== "none") this.#note(slot, change);
  }

  remove(id: string): void {
    const slot = this.#slots.get(id);
    const node = slot === undefined ? undefined : this.#candidates[slot];
    if (slot === undefined || node === undefined) return;
    this.#slots.delete(id);
    this.#candidates[slot] = undefined;
    this.columns.facts.fill(0, slot * factStride, (slot + 1) * factStride);
    this.columns.load.fill(0, slot * loadStride, (slot + 1) * loadStride);
    this.#order.remove(node.name);
    this.#finder.giveBack(slot);
    this.#note(slot, "all");
  }

  /** Says what is taken on a node; gives what was until then, where that was otherwise. */
  setUsed(id: string, used: Readonly<Capacity>): Readonly<Capacity> | undefined {
    const slot = this.#slots.get(id);
    if (slot === undefined) return undefined;
    const before = this.#usedAt(slot);
    if (!this.#writeUsed(slot, used)) return undefined;
    this.#note(slot, "load");
    return before;
  }

  /** Takes on a node what is asked. @throws RangeError where too few NUMA cells have room for what is pinned */
  reserve(slot: number, request: PlacementRequest): Reservation {
    const { vcpus, memoryMiB, diskMiB, hugepagesMiB = 0, devices = {}, pinnedCells = 0 } = request;
    const share = cellShare(request, Math.max(1, pinnedCells));
    const reservation = {
      id: this.idAt(slot),
      size: { vcpus, memoryMiB, diskMiB },
      hugepagesMiB,
      devices,
      cells: pinnedCells === 0 ? [] : this.#tightestCells(slot, share, pinnedCells),
      share,
    };
    this.#apply(slot, reservation, 1);
    return reservation;
  }

  release(reservation: Reservation): void {
    const slot = this.#slots.get(reservation.id);
    if (slot !== undefined) this.#apply(slot, reservation, -1);
  }

  /** Brings ranks up to date with names, where any came or went: before decisions. */
  settle(): void {
    if (!this.#order.settle(this.columns)) return;
    this.generation += 1;
  }

  /** Brings bounds up to date with nodes: before searches. About 1 us for each block that has changed. */
  mend(): void {
    this.#stale.mend(this.columns, this.words);
  }

  /** The slot of the node that changed after so many changes. */
  changedAt(changes: number): number {
    return integer(this.#changed, changes % changesKept);
  }

  remembers(changes: number): boolean {
    return this.changes - changes <= changesKept;
  }

  /** Bounds are mended before the next search, since a block often changes more than once until then. */
  #note(slot: number, change: "load" | "all"): void {
    this.#changed[this.changes % changesKept] = slot;
    this.changes += 1;
    this.#stale.add(Math.floor(slot / slotsPerBlock), change);
  }

  #apply(slot: number, { size, hugepagesMiB, devices, cells, share }: Reservation, sign: 1 | -1): void {
    const { load, specials } = this.columns;
    const base = slot * loadStride;
    load[base] = real(load, base) + sign * size.vcpus;
    load[base + 2] = real(load, base + 2) + sign * size.memoryMiB;
    load[base + 4] = real(load, base + 4) + sign * size.diskMiB;
    const kinds = Object.keys(devices);
    if (hugepagesMiB === 0 && cells.length === 0 && kinds.length === 0) return this.#note(slot, "load");
    const row = integer(this.columns.facts, slot * factStride + fact.special) * specialStride;
    const take = (place: number, amount: number): void => {
      specials[row + place] = real(specials, row + place) - sign * amount;
    };
    take(special.hugepagesMiB, hugepagesMiB);
    for (const kind of kinds) {
      const place = devicesPlace(specials, row, this.words.devices.find(kind) ?? -1);
      if (place >= 0) take(place - row, devices[kind] ?? 0);
    }
    for (const cell of cells) {
      take(special.cell + 2 * cell, share.vcpus);
      take(special.cell + 2 * cell + 1, share.memoryMiB);
    }
    this.#note(slot, "all");
  }

  /** Cells that have least room beyond what is asked, so that large ones stay whole. */
  #tightestCells(slot: number, share: Cell, count: number): number[] {
    const { cells = [] } = this.#spareAt(slot) ?? {};
    const fitting = cells
      .map((cell, index) => ({ ...cell, index }))
      .filter(({ vcpus, memoryMiB }) => vcpus >= share.vcpus && memoryMiB >= share.memoryMiB)
      .sort((a, b) => a.vcpus - b.vcpus || a.index - b.index);
    if (fitting.length < count) throw new RangeError(`${this.idAt(slot)} has not ${count} NUMA cells with room`);
    return fitting.slice(0, count).map(({ index }) => index);
  }

  #writeUsed(slot: number, { vcpus, memoryMiB, diskMiB }: Readonly<Capacity>): boolean {
    const { load } = this.columns;
    const base = slot * loadStride;
    if (real(load, base) === vcpus && real(load, base + 2) === memoryMiB && real(load, base + 4) === diskMiB)
      return false;
    load[base] = vcpus;
    load[base + 2] = memoryMiB;
    load[base + 4] = diskMiB;
    return true;
  }

  #write(slot: number, node: Candidate): "none" | "load" | "all" {
    const { columns, words } = this;
    this.#candidates[slot] = node;
    this.#slots.set(node.id, slot);
    const isLoadNew = this.#writeUsed(slot, node.used);
    const offered = offeredBy(node);
    let isNew = this.#writeSpare(slot, node.spare);
    for (const [resource, amount] of [offered.vcpus, offered.memoryMiB, offered.diskMiB].entries()) {
      const place = slot * loadStride + 2 * resource + 1;
      isNew ||= real(columns.load, place) !== amount;
      columns.load[place] = amount;
    }
    const set = (place: number, value: number): void => {
      const at = slot * factStride + place;
      isNew ||= integer(columns.facts, at) !== value;
      columns.facts[at] = value;
    };
    const taints = words.taintSet(node);
    const locale = words.locale(node);
    const wasPresent = integer(columns.facts, slot * factStride + fact.flags) !== 0;
    if (!wasPresent || this.localeAt(slot) !== locale) this.layouts += 1;
    set(
      fact.flags,
      flag.present |
        (node.healthy && node.schedulable ? flag.open : 0) |
        flag[node.architecture] |
        (taints === 0 ? 0 : flag.tainted),
    );
    set(fact.locale, locale);
    set(fact.labels, words.labelSet(node));
    set(fact.taints, taints);
    set(fact.reach, words.reachSet(node));
    return isNew ? "all" : isLoadNew ? "load" : "none";
  }

  /** @throws RangeError where it has more NUMA cells, or kinds of devices, than columns */
  #writeSpare(slot: number, spare: Spare | undefined): boolean {
    const { facts, specials } = this.columns;
    const at = slot * factStride + fact.special;
    let row = integer(facts, at);
    if (spare === undefined && row === 0) return false;
    // Its row stays its own for as long as it has its slot.
    if (row === 0) facts[at] = row = this.#specials++;
    const base = row * specialStride;
    const numbers = Array.from({ length: specialStride }, () => 0);
    const { devices = {}, hugepagesMiB = 0, cells = [] } = spare ?? {};
    if (cells.length > maxCells) throw new RangeError(`a node has at most ${maxCells} NUMA cells`);
    numbers[special.hugepagesMiB] = hugepagesMiB;
    numbers[special.cells] = cells.length;
    for (const [index, { vcpus, memoryMiB }] of cells.entries()) {
      numbers[special.cell + 2 * index] = vcpus;
      numbers[special.cell + 2 * index + 1] = memoryMiB;
    }
    const kinds = Object.entries(devices);
    if (kinds.length > maxDeviceKinds) throw new RangeError(`a node has at most ${maxDeviceKinds} kinds of devices`);
    numbers[special.kinds] = kinds.length;
    for (const [index, [kind, count]] of kinds.entries()) {
      numbers[special.kind + 2 * index] = this.words.device(kind);
      numbers[special.kind + 2 * index + 1] = count;
    }
    let isNew = false;
    for (const [place, number] of numbers.entries()) {
      isNew ||= real(specials, base + place) !== number;
      specials[base + place] = number;
    }
    return isNew;
  }

  #spareAt(slot: number): Spare | undefined {
    const { facts, specials } = this.columns;
    const row = integer(facts, slot * factStride + fact.special) * specialStride;
    if (row === 0 || this.#candidates[slot]?.spare === undefined) return undefined;
    const cells = Array.from({ length: real(specials, row + special.cells) }, (_, cell) => ({
      vcpus: real(specials, row + special.cell + 2 * cell),
      memoryMiB: real(specials, row + special.cell + 2 * cell + 1),
    }));
    const { spare } = this.#candidates[slot] ?? {};
    const devices = Object.keys(spare?.devices ?? {}).map((kind) => [
      kind,
      real(specials, devicesPlace(specials, row, this.words.device(kind))),
    ]);
    return {
      ...(spare?.devices === undefined ? {} : { devices: Object.fromEntries(devices) as Record<string, number> }),
      ...(spare?.hugepagesMiB === undefined ? {} : { hugepagesMiB: real(specials, row + special.hugepagesMiB) }),
      ...(spare?.cells === undefined ? {} : { cells }),
    };
  }

  /** All anew, those that are alike beside each other. */
  #layOut(nodes: readonly Candidate[], room: number): void {
    const specials = 1 + nodes.filter(({ spare }) => spare !== undefined).length;
    this.columns = makeColumns({ slots: slotsFor(room), specials: specials + 16 + (specials >> 2) }, this.#shared);
    this.#candidates = [];
    this.#slots.clear();
    this.#order.clear();
    this.sizes.clear();
    this.#stale.clear();
    this.#specials = 1;
    this.#finder = new SlotFinder(this.columns.limits.slots);
    for (const node of this.#finder.inOrder(nodes)) {
      const slot = this.#finder.next();
      this.#write(slot, node);
      this.#order.add(node.name, slot);
    }
    refreshAll(this.columns, this.words);
    this.generation += 1;
    this.layouts += 1;
  }
}

/** Some more than asked, so that not every new node lays all out anew. */
function slotsFor(nodes: number): number {
  return slotsPerBlock * Math.ceil((nodes + (nodes >> 3) + 1) / slotsPerBlock);
}
