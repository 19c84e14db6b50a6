import type { KindName } from "@skerry/model";
import type { ChangeEvent, Store } from "@skerry/store";
import { placeOf, type Atlas } from "../authorisation/place.ts";

/** A stream that has all changes so far and waits for the next. */
export interface LiveReader {
  /** The one project whose changes it may see; it may see every change where absent, but for what `sees` refuses. */
  readonly project: string | undefined;
  /** Whether it may see a change of its project, or of all; it may see each where absent. */
  readonly sees: ((event: ChangeEvent) => boolean) | undefined;
  /** The kinds it asked for; all where absent. */
  readonly kinds: ReadonlySet<KindName> | undefined;
  /** Frames of the changes that are for it, in order. @param revision of the newest change, for it or not */
  take(frames: Uint8Array, revision: number): void;
}

/**
 * Hands each durable change to the streams that may see it, as one text made once: a change costs what reads it, however many
 * streams of other projects there are. A reader that can't keep up leaves, follows the log, and comes back.
 */
export class LiveEvents {
  readonly #byProject = new Map<string | undefined, Set<LiveReader>>();
  readonly #frame: (event: ChangeEvent) => Uint8Array;
  readonly #atlas: Atlas;
  readonly #stop: () => void;

  constructor(store: Pick<Store, "subscribe">, atlas: Atlas, frame: (event: ChangeEvent) => Uint8Array) {
    this.#frame = frame;
    this.#atlas = atlas;
    this.#stop = store.subscribe((events) => this.#deliver(events));
  }

  close(): void {
    this.#stop();
  }

  /** Only for a reader that has every change up to the store's revision. Returns how to leave. */
  join(reader: LiveReader): () => void {
    const others = this.#byProject.get(reader.project) ?? new Set();
    others.add(reader);
    this.#byProject.set(reader.project, others);
    return () => {
      others.delete(reader);
      if (others.size === 0 && this.#byProject.get(reader.project) === others) this.#byProject.delete(reader.project);
    };
  }

  #deliver(events: readonly ChangeEvent[]): void {
    const revision = events.at(-1)?.revision;
    if (revision === undefined || this.#byProject.size === 0) return;
    const all = this.#byProject.get(undefined);
    if (all !== undefined) this.#give(events, all, revision);
    const byProject = new Map<string, ChangeEvent[]>();
    for (const event of events) {
      const { project } = placeOf(event.object, this.#atlas);
      if (project === undefined || !this.#byProject.has(project)) continue;
      const others = byProject.get(project);
      if (others === undefined) byProject.set(project, [event]);
      else others.push(event);
    }
    for (const [project, own] of byProject) this.#give(own, this.#byProject.get(project) ?? [], revision);
  }

  #give(events: readonly ChangeEvent[], readers: Iterable<LiveReader>, revision: number): void {
    let whole: Uint8Array | undefined;
    // A reader may leave while it takes.
    for (const reader of [...readers]) {
      const { kinds, sees } = reader;
      if (kinds === undefined && sees === undefined) {
        whole ??= Buffer.concat(events.map(this.#frame));
        reader.take(whole, revision);
        continue;
      }
      const own = events.filter((event) => kinds?.has(event.kind) !== false && sees?.(event) !== false);
      if (own.length > 0) reader.take(Buffer.concat(own.map(this.#frame)), revision);
    }
  }
}
