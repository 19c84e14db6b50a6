import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkedId } from "../drivers/server-made-id.ts";
import { bootId } from "./uptime.ts";

/**
 * Leases as files, one for each guest: the uptime in whole seconds at which it is ended. Beside them `anchor`, with the boot that
 * all of it belongs to. Written whole by renaming; not fsynced, for no guest outlives the host that would lose them.
 */
export class LeaseFolder {
  readonly #folder: string;
  readonly #boot = bootId();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  set(instanceId: string, endsAtSeconds: number): void {
    this.#write(checkedId("ins", instanceId), `${Math.floor(endsAtSeconds)}\n`);
  }

  clear(instanceId: string): void {
    rmSync(join(this.#folder, checkedId("ins", instanceId)), { force: true });
  }

  guarded(): readonly string[] {
    return readdirSync(this.#folder).filter((name) => /^ins_[0-9a-z]+$/.test(name));
  }

  get anchorSeconds(): number | undefined {
    const [boot, atSeconds] = readOrEmpty(join(this.#folder, "anchor")).trim().split(" ");
    return boot === this.#boot && atSeconds !== undefined ? Number(atSeconds) : undefined;
  }

  keepAnchor(atSeconds: number): void {
    this.#write("anchor", `${this.#boot} ${atSeconds}\n`);
  }

  #write(name: string, content: string): void {
    const path = join(this.#folder, name);
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

export function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // Not there yet, or not any more.
  }
}
