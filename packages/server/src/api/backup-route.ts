import { Readable } from "node:stream";
import { makeBackup } from "@skerry/store";
import type { ApiDeps } from "./deps.ts";
import type { GuardedRoute } from "./route.ts";

/** `GET /api/v1/backup`: the whole state while it goes on changing; ends early, without its last line, where it fails. */
export function backupRoute(deps: ApiDeps): GuardedRoute {
  return {
    method: "GET",
    path: "/api/v1/backup",
    operationId: "downloadBackup",
    summary: "Everything that the control plane knows, as JSON lines whose last one vouches for all before it.",
    tag: "Server",
    // Sealed keys and hashes of tokens are in it, which nobody else may read.
    access: { verb: "backup", kind: "Organisation", place: () => ({}) },
    replies: { 200: { description: "The backup.", contentType: "application/x-ndjson" } },
    handle: async ({ principal, reply }) => {
      using held = deps.tokens.hold(principal);
      const signal = AbortSignal.any([held.signal, deps.stopping]);
      const lines = Readable.from(makeBackup(deps.store, deps.clock.nowMs(), signal), { objectMode: false });
      await reply.type("application/x-ndjson").send(lines);
      return undefined;
    },
  };
}
