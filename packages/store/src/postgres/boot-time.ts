import { uptime } from "node:os";

/**
 * Milliseconds on a clock that no wall clock moves. On Linux it counts suspended time too (CLOCK_BOOTTIME by /proc/uptime, to
 * 10 ms, about 8 µs a reading), which `performance.now()` does not; elsewhere it is that one.
 */
export function bootTimeMs(): number {
  return process.platform === "linux" ? uptime() * 1000 : performance.now();
}
