import { readFile } from "node:fs/promises";
import { InvalidArgumentError, type Command } from "commander";
import { SkerryError, specParser, type KindName, type ResourceOf } from "@skerry/model";
import type { Client, ResourceKey } from "@skerry/sdk";
import type { Terminal } from "../output/terminal.ts";

/** How a kind's spec is given as flags of `create`. */
export interface DraftFlags<K extends KindName> {
  declare(command: Command): void;
  /** @throws SkerryError invalid-request naming the flag or field that is wrong */
  spec(options: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<ResourceOf<K>["spec"]>;
  /** What `create` does after the object was made, where that is not all of it; gives the object as it then is. */
  complete?(
    terminal: Terminal,
    client: Client,
    key: ResourceKey,
    resource: ResourceOf<K>,
    options: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<ResourceOf<K>>;
}

/** A number from a flag. @throws InvalidArgumentError where it is none, for which the command line names the flag */
export function toNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value))
    throw new InvalidArgumentError("It is not a number: write a plain one, for example 40.4.");
  return value;
}

/** Reads a file that a flag names. */
export async function readFlagFile(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new SkerryError("invalid-request", `${flag}: the file ${path} cannot be read.`, {
      remedy: "Check the path and its permissions.",
      cause: error,
    });
  }
}

/** Drops what was not given, so that the schema's own optional fields stay absent. */
export function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Flags of a kind whose spec follows from them alone. */
export function plain<K extends KindName>(
  kind: K,
  declare: (command: Command) => void,
  pick: (options: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>> | Record<string, unknown>,
): DraftFlags<K> {
  return {
    declare,
    spec: async (options) => specParser(kind)(given(await pick(options))),
  };
}
