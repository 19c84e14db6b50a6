import { hash, randomBytes } from "node:crypto";
import type { WantedInstance, WantedVolume } from "@skerry/protocol";
import type { Surroundings } from "./wanted-state.ts";

/** What of a wanted state has changed since some revision. */
export interface MarkedChange {
  readonly surroundings: boolean;
  readonly volumes: readonly string[];
  readonly instances: readonly string[];
  /** Ids of volumes and instances that went. */
  readonly unmentioned: readonly string[];
}

interface Mark {
  /** 0 for what is not mentioned any more. */
  digest: number;
  /** At which it was last found changed. */
  revision: number;
}

/** Beyond so many, what is gone is forgotten, and who has an older state gets a whole one. */
const maxGone = 200;

/** When each part of a node's wanted state last changed, and what tells whether it changes again: about 100 bytes each. */
export class WantedMarks {
  /** From which on changes are known. */
  #floor: number;
  #revision: number;
  readonly #surroundings: Mark;
  readonly #volumes = new Map<string, Mark>();
  readonly #instances = new Map<string, Mark>();
  #gone = 0;

  /** @param revision of the first state */
  constructor(revision: number) {
    this.#floor = revision;
    this.#revision = revision;
    this.#surroundings = { digest: 0, revision };
  }

  /** At which anything of it was last found changed. */
  get revision(): number {
    return this.#revision;
  }

  surroundings(now: Surroundings, revision: number): void {
    const digest = digestOf(now);
    if (digest === this.#surroundings.digest) return;
    Object.assign(this.#surroundings, { digest, revision });
    this.#revision = revision;
  }

  /** @param now undefined where it is not mentioned */
  volume(id: string, now: WantedVolume | undefined, revision: number): void {
    this.#mark(this.#volumes, id, now, revision);
  }

  /** @param now undefined where it is not mentioned */
  instance(id: string, now: WantedInstance | undefined, revision: number): void {
    this.#mark(this.#instances, id, now, revision);
  }

  /** Ids, for the caller to keep. */
  mentioned(): { readonly volumes: Set<string>; readonly instances: Set<string> } {
    return { volumes: present(this.#volumes), instances: present(this.#instances) };
  }

  /** Undefined where it is not known any more what has changed. */
  since(revision: number): MarkedChange | undefined {
    if (revision < this.#floor) return undefined;
    const [volumes, instances] = [newer(this.#volumes, revision), newer(this.#instances, revision)];
    return {
      surroundings: this.#surroundings.revision > revision,
      volumes: volumes.changed,
      instances: instances.changed,
      unmentioned: [...volumes.gone, ...instances.gone],
    };
  }

  #mark(marks: Map<string, Mark>, id: string, now: object | undefined, revision: number): void {
    const mark = marks.get(id);
    const digest = now === undefined ? 0 : digestOf(now);
    if ((mark?.digest ?? 0) === digest) return;
    if (mark === undefined) marks.set(id, { digest, revision });
    else {
      if (mark.digest === 0) this.#gone -= 1;
      else if (digest === 0) this.#gone += 1;
      Object.assign(mark, { digest, revision });
    }
    this.#revision = revision;
    if (this.#gone > maxGone) this.#forgetGone();
  }

  #forgetGone(): void {
    for (const marks of [this.#volumes, this.#instances])
      for (const [id, { digest }] of marks) if (digest === 0) marks.delete(id);
    this.#gone = 0;
    this.#floor = this.#revision;
  }
}

function present(marks: ReadonlyMap<string, Mark>): Set<string> {
  return new Set([...marks].filter(([, { digest }]) => digest !== 0).map(([id]) => id));
}

function newer(marks: ReadonlyMap<string, Mark>, revision: number) {
  const changed: string[] = [];
  const gone: string[] = [];
  for (const [id, mark] of marks) if (mark.revision > revision) (mark.digest === 0 ? gone : changed).push(id);
  return { changed, gone };
}

/** Tenants choose much of these texts: with a key that nobody knows, none can look for two that look the same here. */
const key = randomBytes(16).toString("base64");

/** 48 bits, 0 left out: what they tell apart is two texts, never many. */
function digestOf(part: object): number {
  return 1 + hash("sha256", key + JSON.stringify(part), "buffer").readUIntBE(0, 6);
}
