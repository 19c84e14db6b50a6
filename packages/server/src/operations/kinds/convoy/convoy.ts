import { SkerryError, type InstanceResource, type OperationResource } from "@skerry/model";
import type { Transaction, View } from "@skerry/store";
import type { BudgetBook } from "../../../controllers/disruption/budget-book.ts";
import { BudgetGuard } from "../../../controllers/disruption/budget-guard.ts";
import { moveAway } from "../../../controllers/disruption/move-away.ts";
import type { MoveDeps } from "../../../controllers/intents/instance-move.ts";
import type { Target } from "../../../controllers/placing.ts";
import type { OperationEngine, StepContext } from "../../operation-kind.ts";
import { isOver } from "../../transitions.ts";
import { migrationOf } from "../migration-orders.ts";
import { reasonToLeave } from "../replacement.ts";
import { inTurns } from "./fair-order.ts";
import { asFacts, counted, notesOf, type ConvoyNotes, type Left, type OpenMove } from "./notes.ts";
import { StallWatch } from "./stall-watch.ts";
import { broken, isPatienceOver, refused, type Trouble } from "./trouble.ts";

/** An instance that is to be moved, and where to where that is given. */
export interface Passenger {
  readonly instance: InstanceResource;
  readonly target?: Target;
}

export interface Pace {
  /** How many may be on the move at once. */
  readonly maxParallel: number;
  /** What stands in the way for good is waited for, or left where it is. */
  readonly onBlocked: "wait" | "skip";
  /** Budgets don't count: an operator has said so. */
  readonly ignoreBudgets: boolean;
}

export interface ConvoyDeps extends MoveDeps {
  readonly engine: MoveDeps["engine"] & Pick<OperationEngine, "cancel">;
  readonly budgets: Pick<BudgetBook, "in">;
}

/** What is to be moved, as it is now; also what is on the move already. @throws SkerryError where it is not to be done any more */
export type Itinerary = (view: View) => readonly Passenger[];

/** Room may come free anywhere, and budgets: it is looked for this often, and more rarely the more there is to look at. */
const lookAgainMs = 5000;
const lookMsEach = 5;
/** In one transaction, which holds up everybody; a refusal looks at every node. */
const mostTries = 32;
const longestTriesMs = 50;
/** How long nothing is sent to a node at which a move has stalled. */
const avoidMs = 10 * 60_000;
/** Moves that have stalled count little, but not nothing. */
const mostOpenFactor = 4;
const mostLeftNamed = 100;

/** Moves many instances by their own operations, a few at a time. What it remembers besides its notes it can do without. */
export class Convoy {
  readonly #deps: ConvoyDeps;
  readonly #context: StepContext;
  readonly #pace: Pace;
  readonly #itinerary: Itinerary;
  readonly #elapsedMs: () => number;
  readonly #stalls = new StallWatch();
  readonly #troubles = new Map<string, Trouble>();
  /** Names of nodes at which moves have stalled, and until when nothing is sent there. */
  readonly #avoided = new Map<string, number>();
  /** How many moves were begun, by project. */
  readonly #turns = new Map<string, number>();
  #notes: ConvoyNotes;

  constructor(
    deps: ConvoyDeps,
    context: StepContext,
    pace: Pace,
    itinerary: Itinerary,
    elapsedMs: () => number = () => performance.now(),
  ) {
    this.#elapsedMs = elapsedMs;
    this.#deps = deps;
    this.#context = context;
    this.#pace = pace;
    this.#itinerary = itinerary;
    const { operation, store } = context;
    this.#notes = notesOf(store.getById("Operation", operation.metadata.id) ?? operation);
  }

  /** Resolves when nothing is left to be moved, or nothing that could be. */
  async run(): Promise<void> {
    const { store } = this.#context;
    for (;;) {
      await this.#takeStock();
      const all = this.#itinerary(store);
      await this.#sendOff(all);
      this.#tell(all);
      if (all.length === 0 && this.#notes.open.length === 0) break;
      if (this.#pace.onBlocked === "skip" && this.#isAllLasting(all)) break;
      await this.#context.within(Math.max(lookAgainMs, all.length * lookMsEach), (view) =>
        this.#notes.open.some(({ operationId }) => isEnded(view, operationId)),
      );
    }
    await this.#noteLeft(this.#itinerary(store));
  }

  /** Has what is on the move taken back as far as that goes, and waits for the end of all of it. */
  async halt(): Promise<void> {
    const { store } = this.#context;
    await store.transact((tx) => {
      for (const { operationId } of this.#notes.open) this.#cancel(tx, operationId);
    });
    await this.#context.until((view) => this.#notes.open.every(({ operationId }) => isEnded(view, operationId)));
    await this.#takeStock();
  }

  /** Counts what has ended, and sees what does not go on. */
  async #takeStock(): Promise<void> {
    const { store } = this.#context;
    const nowMs = this.#context.nowMs();
    const ended = this.#notes.open.filter(({ operationId }) => isEnded(store, operationId));
    const hopeless: string[] = [];
    for (const { operationId } of this.#notes.open) {
      const move = store.getById("Operation", operationId);
      const end = move === undefined ? undefined : this.#stalls.stalledAt(store, move, nowMs);
      if (move === undefined || end === undefined) continue;
      if (end === "to") this.#avoided.set(migrationOf(move).to.node, nowMs + avoidMs);
      const step = move.status.steps.find(({ state }) => state === "running")?.name;
      // It waits for a node that is not there, and what would replace it waits for the move; or the guest is down meanwhile.
      if (move.status.cancelRequestedAt === undefined && (step === "choose" || (step === "copy" && end === "to")))
        hopeless.push(operationId);
    }
    if (ended.length === 0 && hopeless.length === 0) return;
    const { result } = await store.transact((tx) => {
      for (const operationId of hopeless) this.#cancel(tx, operationId);
      let notes = this.#notes;
      for (const open of ended) notes = counted(notes, open, tx.getById("Operation", open.operationId));
      this.#context.noteIn(tx, asFacts(notes));
      return notes;
    });
    this.#notes = result;
    for (const open of ended) this.#learn(open, store.getById("Operation", open.operationId), nowMs);
  }

  #learn({ instanceId, operationId }: OpenMove, ended: OperationResource | undefined, nowMs: number): void {
    this.#stalls.forget(operationId);
    const before = this.#troubles.get(instanceId);
    if (ended === undefined || ended.status.state === "succeeded") this.#troubles.delete(instanceId);
    else {
      const why = ended.status.problem?.detail ?? `Its move ${ended.status.state}.`;
      const { from, to } = migrationOf(ended);
      // Where the source is away it is not the target's doing.
      const blamed = isConnected(this.#context.store, from.nodeId) ? to.node : undefined;
      this.#troubles.set(instanceId, broken(why, blamed, before, nowMs));
    }
  }

  #cancel(tx: Transaction, operationId: string): void {
    const move = tx.getById("Operation", operationId);
    if (move === undefined || isOver(move.status.state)) return;
    try {
      this.#deps.engine.cancel(tx, move, this.#context.operation.spec.actor);
    } catch (error) {
      // Past its point of no return it comes to its own end.
      if (!(error instanceof SkerryError)) throw error;
    }
  }

  /** How many are on the move that count for the pace, and whose sources don't hold them up. */
  #underway(): { readonly count: number; readonly stuckSources: ReadonlySet<string> } {
    const { store } = this.#context;
    const nowMs = this.#context.nowMs();
    const stuckSources = new Set<string>();
    let count = 0;
    for (const { operationId } of this.#notes.open) {
      const move = store.getById("Operation", operationId);
      if (move === undefined) continue;
      const end = this.#stalls.stalledAt(store, move, nowMs);
      if (end === undefined) count++;
      if (end === "from") stuckSources.add(migrationOf(move).from.nodeId);
    }
    return { count, stuckSources };
  }

  #hasRoom(): boolean {
    const { maxParallel } = this.#pace;
    return this.#notes.open.length < maxParallel * mostOpenFactor && this.#underway().count < maxParallel;
  }

  /** Begins as many moves as the pace allows, taking turns between projects; a few in each transaction, until all were tried. */
  async #sendOff(all: readonly Passenger[]): Promise<void> {
    const nowMs = this.#context.nowMs();
    const { stuckSources } = this.#underway();
    const away = new Set(this.#notes.open.map(({ instanceId }) => instanceId));
    const due = all.filter(({ instance: { metadata, assignment } }) => {
      const trouble = this.#troubles.get(metadata.id);
      return (
        !away.has(metadata.id) &&
        (trouble === undefined || trouble.againMs <= nowMs) &&
        !stuckSources.has(assignment?.nodeId ?? "")
      );
    });
    for (const [node, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(node);
    const queue = inTurns(due, ({ instance }) => instance.metadata.project ?? "", this.#turns);
    for (let first = 0; first < queue.length && this.#hasRoom();) {
      const next = queue.slice(first, first + mostTries);
      const { result } = await this.#context.store.transact((tx) => this.#begin(tx, next, nowMs));
      this.#notes = result.notes;
      if (result.tried === 0) break;
      first += result.tried;
    }
  }

  #begin(
    tx: Transaction,
    queue: readonly Passenger[],
    nowMs: number,
  ): { readonly notes: ConvoyNotes; readonly tried: number } {
    const { operation } = this.#context;
    // A cancel may be on its way: what is begun now would have to be taken back at once.
    if (tx.getById("Operation", operation.metadata.id)?.status.cancelRequestedAt !== undefined)
      return { notes: this.#notes, tried: 0 };
    const giveUpMs = this.#elapsedMs() + longestTriesMs;
    let tried = 0;
    const guard = this.#pace.ignoreBudgets
      ? undefined
      : new BudgetGuard(tx, (view, project) => this.#deps.budgets.in(view, project));
    const context = { actor: operation.spec.actor, cause: `${operation.spec.type} ${operation.metadata.name}` };
    const started: OpenMove[] = [];
    const { count } = this.#underway();
    for (const { instance: seen, target } of queue) {
      if (count + started.length >= this.#pace.maxParallel) break;
      if (this.#notes.open.length + started.length >= this.#pace.maxParallel * mostOpenFactor) break;
      if (tried > 0 && this.#elapsedMs() > giveUpMs) break;
      tried++;
      const instance = tx.getById("Instance", seen.metadata.id);
      // Whatever moved it meanwhile, the next round sees where it is then.
      if (instance === undefined || instance.assignment?.nodeId !== seen.assignment?.nodeId) continue;
      const { id, project, name } = instance.metadata;
      const before = this.#troubles.get(id);
      try {
        requireConnected(tx, instance);
        const avoid = [...this.#avoided.keys(), ...(before?.avoid ?? [])];
        const wish = { avoid, replaces: isPatienceOver(before), ...(target === undefined ? {} : { target }) };
        const move = moveAway(this.#deps, tx, guard, instance, wish, context);
        this.#turns.set(project ?? "", (this.#turns.get(project ?? "") ?? 0) + 1);
        started.push({ operationId: move.metadata.id, instanceId: id, instance: `${project}/${name}` });
      } catch (error) {
        if (!(error instanceof SkerryError)) throw error;
        this.#troubles.set(id, refused(error, before, nowMs, this.#avoided.size > 0));
      }
    }
    if (started.length === 0) return { notes: this.#notes, tried };
    const notes = { ...this.#notes, open: [...this.#notes.open, ...started] };
    this.#context.noteIn(tx, asFacts(notes));
    return { notes, tried };
  }

  #isAllLasting(all: readonly Passenger[]): boolean {
    if (this.#notes.open.length > 0) return false;
    return all.every(({ instance }) => this.#troubles.get(instance.metadata.id)?.isLasting === true);
  }

  async #noteLeft(all: readonly Passenger[]): Promise<void> {
    const left = all.slice(0, mostLeftNamed).map(({ instance }): Left => {
      const { id, project, name } = instance.metadata;
      return { instance: `${project}/${name}`, why: this.#troubles.get(id)?.why ?? "It has just come." };
    });
    const leftMore = all.length - left.length;
    const notes = { ...this.#notes, left, ...(leftMore === 0 ? {} : { leftMore }) };
    await this.#context.note(asFacts(notes));
    this.#notes = notes;
  }

  #tell(all: readonly Passenger[]): void {
    const { open, moved } = this.#notes;
    const away = new Set(open.map(({ instanceId }) => instanceId));
    const left = all.filter(({ instance }) => !away.has(instance.metadata.id));
    const troubled = left.filter(({ instance }) => this.#troubles.has(instance.metadata.id));
    const [first] = troubled;
    const words = [
      open.length === 0 ? "" : `${open.length} on the move`,
      left.length === 0 ? "" : `${left.length} to go`,
      first === undefined
        ? ""
        : `${troubled.length} held up, such as ${first.instance.metadata.project}/${first.instance.metadata.name}: ${this.#troubles.get(first.instance.metadata.id)?.why}`,
    ];
    const message = words.filter((word) => word !== "").join("; ");
    this.#context.progress({ message, done: moved, total: moved + open.length + left.length, unit: "items" });
  }
}

function isConnected(view: View, nodeId: string): boolean {
  return view.getById("Node", nodeId)?.status.connected === true;
}

/** A move from there could only wait, and keep away what replaces instances. @throws SkerryError node-disconnected */
function requireConnected(view: View, instance: InstanceResource): void {
  const { assignment } = instance;
  if (assignment === undefined || isConnected(view, assignment.nodeId)) return;
  const isReplaced = reasonToLeave(view, instance) === undefined;
  throw new SkerryError(
    "node-disconnected",
    `${assignment.node}, where it is, is not connected${isReplaced ? "; it is replaced once its lease is over" : ""}.`,
    { facts: { isReplaced } },
  );
}

function isEnded(view: View, operationId: string): boolean {
  const operation = view.getById("Operation", operationId);
  return operation === undefined || isOver(operation.status.state);
}
