import { SkerryError, type ErrorCode } from "@skerry/model";
import type { Random } from "./random.ts";

const attemptsOnNode = 8;
const untilDeadline = Number.POSITIVE_INFINITY;

/** How often a step is tried after an error; what isn't listed fails at once. A defect (`internal`) gets a second chance or two. */
const attemptsByCode: Partial<Record<ErrorCode, number>> = {
  "node-disconnected": untilDeadline,
  unavailable: untilDeadline,
  "host-unreachable": untilDeadline,
  "host-connection-lost": untilDeadline,
  "too-many-requests": untilDeadline,
  "revision-mismatch": untilDeadline,
  "node-driver-failed": attemptsOnNode,
  "storage-full": untilDeadline,
  "host-command-failed": 3,
  "digest-mismatch": 3,
  internal: 3,
};

export function mayRetry(error: unknown, attempts: number): boolean {
  const code = error instanceof SkerryError ? error.code : "internal";
  // The server's own disk is waited for; that of a node is its owner's affair, who is told soon.
  if (error instanceof SkerryError && error.facts?.["disk"] === "node") return attempts < attemptsOnNode;
  return attempts < (attemptsByCode[code] ?? 1);
}

const firstDelayMs = 500;
const longestDelayMs = 30_000;

/** Doubles from half a second to half a minute, less a random part of up to half, so that many failures spread. */
export function retryDelayMs(attempts: number, random: Random): number {
  const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 16));
  return delayMs / 2 + (random.fraction() * delayMs) / 2;
}
