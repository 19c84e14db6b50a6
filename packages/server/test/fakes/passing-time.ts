import type { ManualClock } from "./manual-clock.ts";

/** Something that has to stand still before time may pass. */
export interface Busy {
  readonly inFlight: number;
}

const realLimitMs = 20_000;

/**
 * Lets time pass, from timer to timer and only while nothing is in flight, until `done`.
 * @throws Error after 20 real seconds, or when nothing can happen any more
 */
export async function passTime(clock: ManualClock, busy: () => readonly Busy[], done: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + realLimitMs;
  while (!done()) {
    await stillness(busy);
    if (done()) return;
    const nextMs = clock.nextAtMs();
    if (nextMs === undefined) throw new Error("nothing is going to happen any more");
    if (performance.now() > giveUpMs) throw new Error("it takes too long");
    clock.moveTo(nextMs);
  }
}

/** Resolves when no transaction is in flight and nothing more follows by itself. */
export async function stillness(busy: () => readonly Busy[]): Promise<void> {
  for (let calm = 0; calm < 3;) {
    await new Promise((resolve) => setImmediate(resolve));
    calm = busy().some(({ inFlight }) => inFlight > 0) ? 0 : calm + 1;
  }
}
