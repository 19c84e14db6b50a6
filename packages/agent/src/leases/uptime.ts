import { readFileSync } from "node:fs";

/** Seconds since the host booted, to 10 ms: it counts suspended time and is deaf to the wall clock (CLOCK_BOOTTIME). */
export function uptimeSeconds(): number {
  return Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
}

/** Differs after each boot. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}
