import { SkerryError } from "@skerry/model";
import { planElements, readTable, ruleset, type SetElement } from "./firewall.ts";
import type { RunProgram } from "./run.ts";

interface Seen {
  readonly rules: string;
  readonly elements: readonly SetElement[];
}

/**
 * The node's two tables, kept as the ruleset has them. What nft lists right after a load is remembered, so that rules that
 * somebody changed meanwhile are noticed and loaded again; the first use in a process always loads.
 */
export class FirewallTable {
  readonly #run: RunProgram;
  #rulesAfterLoad: string | undefined;

  constructor(run: RunProgram) {
    this.#run = run;
  }

  /** Sees to the rules and gives the sets' elements. */
  async elements(signal: AbortSignal): Promise<readonly SetElement[]> {
    const seen = this.#rulesAfterLoad === undefined ? undefined : await this.#read(signal);
    if (seen !== undefined && seen.rules === this.#rulesAfterLoad) return seen.elements;
    await this.#run(["nft", "-f", "-"], signal, ruleset);
    const loaded = await this.#read(signal);
    if (loaded === undefined)
      throw new SkerryError("node-driver-failed", "nft lost the tables that it was given a moment ago.");
    this.#rulesAfterLoad = loaded.rules;
    return loaded.elements;
  }

  /** Replaces `seen`, some of the elements, by `wished`, in one transaction. */
  async sync(seen: readonly SetElement[], wished: readonly SetElement[], signal: AbortSignal): Promise<void> {
    const lines = planElements(seen, wished);
    if (lines.length > 0) await this.#run(["nft", "-f", "-"], signal, `${lines.join("\n")}\n`);
  }

  async #read(signal: AbortSignal): Promise<Seen | undefined> {
    const tables = [];
    try {
      for (const family of ["inet", "bridge"] as const) {
        const { stdout } = await this.#run(["nft", "-j", "list", "table", family, "skerry"], signal);
        tables.push(readTable(family, stdout));
      }
    } catch (error) {
      signal.throwIfAborted();
      // A table that is not there can't be listed; if nft itself does not work, the load that follows says so.
      if (error instanceof SkerryError) return undefined;
      throw error;
    }
    return { rules: tables.map(({ rules }) => rules).join("\n"), elements: tables.flatMap(({ elements }) => elements) };
  }
}
