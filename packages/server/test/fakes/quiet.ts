import type { Log } from "../../src/operations/log.ts";
import type { Random } from "../../src/operations/random.ts";

export const quietLog: Log = { info() {}, warn() {}, error() {} };

/** Ids differ, delays don't. */
export const evenRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  fraction: () => 0.5,
};
