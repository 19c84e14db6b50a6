import type { IncomingHttpHeaders } from "node:http";
import { SkerryError, type KindName, type ResourceOf } from "@skerry/model";

export function entityTag(resource: ResourceOf<KindName>): string {
  return `"${resource.metadata.revision}"`;
}

/**
 * Checks If-Match and If-None-Match against what is there.
 * @throws SkerryError revision-mismatch, already-exists, invalid-request
 */
export function checkPreconditions(headers: IncomingHttpHeaders, current: ResourceOf<KindName> | undefined): void {
  const match = headers["if-match"];
  if (match !== undefined && match !== "*") {
    const wanted = /^"?(\d{1,15})"?$/.exec(match.trim())?.[1];
    if (wanted === undefined) {
      throw new SkerryError("invalid-request", "If-Match is not a revision.", {
        remedy: 'Send the ETag of a read, such as "42", or *.',
      });
    }
    if (current?.metadata.revision !== Number(wanted)) {
      const seen = current === undefined ? "it does not exist" : `it is at ${current.metadata.revision}`;
      throw new SkerryError("revision-mismatch", `You asked for a change of revision ${wanted}, and ${seen}.`, {
        remedy: "Read it again, and make your change to what you read.",
        ...(current === undefined ? {} : { facts: { revision: current.metadata.revision } }),
      });
    }
  } else if (match === "*" && current === undefined) {
    throw new SkerryError("revision-mismatch", "You asked for a change of what exists, and it does not.");
  }
  const noneMatch = headers["if-none-match"];
  if (noneMatch === undefined) return;
  if (noneMatch !== "*") {
    throw new SkerryError("invalid-request", "If-None-Match is understood as * only.", {
      remedy: "Send If-None-Match: * to create only.",
    });
  }
  if (current !== undefined) {
    throw new SkerryError("already-exists", `The ${current.kind} ${current.metadata.name} exists already.`, {
      remedy: "Choose another name. To replace it: skerry apply -f FILE, or PUT without If-None-Match.",
    });
  }
}
