import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { SkerryError } from "@skerry/model";
import type { NodeIdentity } from "./enrol.ts";

/** Where a fleet's identities are kept, a line of JSON each, so that the same nodes come back. */
export interface IdentityFile {
  readonly identities: ReadonlyMap<string, NodeIdentity>;
  keep(name: string, identity: NodeIdentity): void;
}

/** Made where it is missing, for its owner alone. @throws SkerryError invalid-request where it holds anything else */
export function openIdentityFile(path: string): IdentityFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const identities = new Map<string, NodeIdentity>();
  for (const [index, line] of lines(path).entries()) {
    try {
      const { name, nodeId, privateKey } = JSON.parse(line) as { name: string } & NodeIdentity;
      identities.set(name, { nodeId, privateKey });
    } catch (error) {
      throw new SkerryError("invalid-request", `Line ${index + 1} of ${path} is no node's identity.`, {
        remedy: "Give another file, or another --seed for a fleet of its own.",
        cause: error,
      });
    }
  }
  return {
    identities,
    keep: (name, identity) => appendFileSync(path, `${JSON.stringify({ name, ...identity })}\n`, { mode: 0o600 }),
  };
}

function lines(path: string): readonly string[] {
  try {
    // A line that was cut when the process was killed is of a node that can't come back.
    return readFileSync(path, "utf8").split("\n").slice(0, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
