import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Type, type Static } from "typebox";
import { parserOf } from "@skerry/model";
import { writeDurably } from "../../durable-file.ts";

/** One stretch of time in which a simulated guest ran; without `stopsAtMs` it still does. Milliseconds since 1970. */
const Run = Type.Object({
  epoch: Type.Integer(),
  generation: Type.Integer(),
  startedAtMs: Type.Number(),
  stopsAtMs: Type.Optional(Type.Number()),
  /** It ends then by itself unless that is put off; only where the instance holds a lease. */
  leaseEndsAtMs: Type.Optional(Type.Number()),
});
export type SimulatedRun = Static<typeof Run>;
const parseRuns = parserOf(Type.Array(Run), "record of a simulated guest's runs", "node-driver-failed");

/**
 * Every run of every simulated guest, kept for good. It is the one truth about whether a guest runs, so that it can't
 * disagree with the evidence that never two copies ran.
 */
export class SimulatedRuns {
  readonly #folder: string;
  readonly #runs: Map<string, readonly SimulatedRun[]>;
  /** Of guests that run or may be started. */
  readonly #limits = new Map<string, number>();

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#runs = readSimulatedRuns(folder);
  }

  /** The run that is under way at `nowMs`. */
  current(id: string, nowMs: number): SimulatedRun | undefined {
    const last = this.#runs.get(id)?.at(-1);
    return last !== undefined && endOf(last) > nowMs ? last : undefined;
  }

  async begin(id: string, run: SimulatedRun): Promise<void> {
    const leaseEndsAtMs = this.#limits.get(id);
    const limited = leaseEndsAtMs === undefined ? run : { ...run, leaseEndsAtMs };
    await this.#write(id, [...(this.#runs.get(id) ?? []), limited]);
  }

  /** Sets when the lease of the run under way ends, and of those to come; what has ended stays so. Undefined for no lease. */
  limit(id: string, atMs: number | undefined): void {
    if (atMs === undefined) this.#limits.delete(id);
    else this.#limits.set(id, atMs);
    const run = this.current(id, Date.now());
    if (run === undefined || (atMs === undefined && run.leaseEndsAtMs === undefined)) return;
    const { leaseEndsAtMs: _before, ...rest } = run;
    const runs = [
      ...(this.#runs.get(id) ?? []).slice(0, -1),
      atMs === undefined ? rest : { ...rest, leaseEndsAtMs: atMs },
    ];
    const path = join(this.#folder, `${id}.json`);
    writeFileSync(`${path}.limit`, JSON.stringify(runs));
    renameSync(`${path}.limit`, path);
    this.#runs.set(id, runs);
  }

  /** Sets when the run under way ends; never later than was set before. */
  async end(id: string, atMs: number): Promise<void> {
    const runs = this.#runs.get(id) ?? [];
    const last = runs.at(-1);
    if (last === undefined || (last.stopsAtMs !== undefined && last.stopsAtMs <= atMs)) return;
    await this.#write(id, [...runs.slice(0, -1), { ...last, stopsAtMs: atMs }]);
  }

  async #write(id: string, runs: readonly SimulatedRun[]): Promise<void> {
    await writeDurably(join(this.#folder, `${id}.json`), JSON.stringify(runs));
    this.#runs.set(id, runs);
  }
}

/** When a run ended or will end, milliseconds since 1970; infinite where nothing says. */
function endOf({ stopsAtMs = Infinity, leaseEndsAtMs = Infinity }: SimulatedRun): number {
  return Math.min(stopsAtMs, leaseEndsAtMs);
}

/** Reads the runs below a driver's folder, by instance, without the driver: for whoever wants to check them. */
export function readSimulatedRuns(folder: string): Map<string, readonly SimulatedRun[]> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return new Map(
    names.map((name) => [name.slice(0, -5), parseRuns(JSON.parse(readFileSync(join(folder, name), "utf8")))] as const),
  );
}

/** Pairs of runs that overlap in time, of runs of one instance wherever they took place; empty is what must be. */
export function overlappingRuns(runs: readonly SimulatedRun[]): (readonly [SimulatedRun, SimulatedRun])[] {
  const ordered = runs.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  return ordered.flatMap((run, index) => {
    const next = ordered[index + 1];
    const overlaps = next !== undefined && endOf(run) > next.startedAtMs;
    return overlaps ? [[run, next] as const] : [];
  });
}
