import { existsSync } from "node:fs";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";

const keyFiles = ["pki/ca.pem", "pki/ca.key", "sealing.key"];

/**
 * A zone's nodes and clients trust its authority alone, and its secrets open by its key alone: where there is state, neither is
 * made anew.
 * @throws SkerryError unavailable that names what is missing
 */
export function refuseLostKeys(dataDir: string): void {
  if (!existsSync(join(dataDir, "state.db"))) return;
  const lost = keyFiles.filter((file) => !existsSync(join(dataDir, file)));
  if (lost.length === 0) return;
  throw new SkerryError("unavailable", `${dataDir} holds a zone's state, and not its keys: ${lost.join(", ")}.`, {
    remedy:
      "Put them back, for example from the folder keys of a backup: without them no node and no secret of it is reached.",
  });
}
