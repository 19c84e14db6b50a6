import type { ErrorCode } from "@skerry/model";

/** What the shell sees; stable: scripts may rely on every number. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** Of `apply --plan` alone, whose own errors then end with another: something would change. */
  changes: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  operationFailed: 6,
  unreachable: 7,
  interrupted: 130,
} as const;

/** The exit code for an error code of the catalogue. */
export function exitCodeOf(code: ErrorCode): number {
  switch (code) {
    case "invalid-request":
      return exitCodes.usage;
    case "not-found":
      return exitCodes.notFound;
    case "unauthenticated":
    case "forbidden":
    case "join-refused":
      return exitCodes.denied;
    case "already-exists":
    case "conflict":
    case "revision-mismatch":
    case "in-use":
    case "irreversible":
    case "busy":
    case "quota-exceeded":
      return exitCodes.conflict;
    case "unavailable":
      return exitCodes.unreachable;
    case "operation-cancelled":
    case "deadline-exceeded":
    case "no-placement":
      return exitCodes.operationFailed;
    default:
      return exitCodes.failure;
  }
}
