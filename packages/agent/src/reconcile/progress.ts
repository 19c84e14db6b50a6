export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How far slow actions are, by volume. */
export class ProgressBook {
  readonly #byVolume = new Map<string, Progress>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get(volumeId: string): Progress | undefined {
    return this.#byVolume.get(volumeId);
  }

  set(volumeId: string, progress: Progress): void {
    this.#byVolume.set(volumeId, progress);
    this.#onChange();
  }

  /** To be called at the end of what `set` told of. */
  forget(volumeId: string): void {
    this.#byVolume.delete(volumeId);
  }
}
