import { Type, type Static } from "typebox";
import { oneOf, optional, strict } from "./schema.ts";

/** Every error Skerry answers with: code, HTTP status, title. A code, once released, never changes its meaning. */
export const errorCatalogue = {
  "invalid-request": { status: 400, title: "The request is not valid" },
  unauthenticated: { status: 401, title: "Who is asking is not known" },
  forbidden: { status: 403, title: "This is not allowed" },
  "not-found": { status: 404, title: "There is no such thing" },
  "already-exists": { status: 409, title: "It exists already" },
  conflict: { status: 409, title: "It does not fit with what is there" },
  "revision-mismatch": { status: 412, title: "It was changed meanwhile" },
  "in-use": { status: 409, title: "Something still uses it" },
  irreversible: { status: 409, title: "It can not be taken back" },
  busy: { status: 409, title: "An operation is already working on it" },
  "quota-exceeded": { status: 409, title: "It is more than the quota allows" },
  "disruption-budget": { status: 409, title: "A disruption budget does not allow it now" },
  "revision-too-old": { status: 410, title: "Changes since that revision are no longer kept" },
  "too-large": { status: 413, title: "The request is too large" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  "digest-mismatch": { status: 422, title: "The content does not match its digest" },
  "no-placement": { status: 422, title: "No node satisfies what was asked" },
  "address-exhausted": { status: 422, title: "The network has no free address" },
  "join-refused": { status: 403, title: "The agent may not join" },
  "host-unreachable": { status: 502, title: "The host cannot be reached" },
  "host-key-unknown": { status: 409, title: "The host's key is not pinned" },
  "host-key-mismatch": { status: 409, title: "The host's key is not the pinned one" },
  "host-authentication-failed": { status: 502, title: "The host refuses the user or key" },
  "host-needs-sudo": { status: 422, title: "The user may not become root on the host" },
  "host-unsupported": { status: 422, title: "The host's system is not supported" },
  "host-disk-full": { status: 422, title: "The host has too little free disk" },
  "host-enrolled-elsewhere": { status: 409, title: "The host belongs to another control plane" },
  "host-connection-lost": { status: 502, title: "The connection to the host was lost" },
  "host-command-failed": { status: 502, title: "A command on the host failed" },
  "node-disconnected": { status: 503, title: "The node's agent is not connected" },
  "node-driver-failed": { status: 502, title: "The node could not do it" },
  "operation-cancelled": { status: 409, title: "The operation was cancelled" },
  "deadline-exceeded": { status: 504, title: "It took longer than its deadline" },
  "storage-full": { status: 507, title: "The disk is full" },
  "protocol-mismatch": { status: 426, title: "The versions cannot talk to each other" },
  unavailable: { status: 503, title: "The control plane cannot answer now" },
  internal: { status: 500, title: "Skerry made a mistake" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCatalogue;
export const errorCodes = Object.keys(errorCatalogue) as readonly ErrorCode[];

/** An error on the wire: RFC 9457 problem+json, with a stable `code` and what to do next. */
export const Problem = strict({
  type: Type.String({ description: "urn:skerry:error:<code>" }),
  code: oneOf(errorCodes as unknown as readonly [ErrorCode, ...ErrorCode[]]),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: "what happened, in one or two sentences" }),
  remedy: optional(Type.String({ description: "what to do next" })),
  errors: optional(Type.Array(strict({ path: Type.String({ description: "JSON pointer" }), message: Type.String() }))),
  /** Facts a program may act on, for example the fingerprint that was seen. */
  facts: optional(Type.Record(Type.String(), Type.Unknown())),
});
export type Problem = Static<typeof Problem>;

export interface ProblemDetails {
  readonly remedy?: string;
  readonly errors?: readonly { path: string; message: string }[];
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error class for outcomes that a caller should see; anything else thrown is a defect. */
export class SkerryError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly errors: readonly { path: string; message: string }[] | undefined;
  readonly facts: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, detail: string, details: ProblemDetails = {}) {
    super(detail, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "SkerryError";
    this.code = code;
    this.remedy = details.remedy;
    this.errors = details.errors;
    this.facts = details.facts;
  }
}

/** The wire form of an error; a defect becomes `internal` without its message, which may hold what a caller must not see. */
export function toProblem(error: unknown): Problem {
  const known = error instanceof SkerryError ? error : undefined;
  const code = known?.code ?? "internal";
  const entry = errorCatalogue[code];
  return {
    type: `urn:skerry:error:${code}`,
    code,
    title: entry.title,
    status: entry.status,
    detail: known?.message ?? "An unexpected error; the server's log has it.",
    ...(known?.remedy === undefined ? {} : { remedy: known.remedy }),
    ...(known?.errors === undefined ? {} : { errors: [...known.errors] }),
    ...(known?.facts === undefined ? {} : { facts: { ...known.facts } }),
  };
}

/** The error a problem stands for, so that a client can throw what the server threw. */
export function fromProblem(problem: Problem): SkerryError {
  return new SkerryError(problem.code, problem.detail, {
    ...(problem.remedy === undefined ? {} : { remedy: problem.remedy }),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...(problem.facts === undefined ? {} : { facts: problem.facts }),
  });
}
