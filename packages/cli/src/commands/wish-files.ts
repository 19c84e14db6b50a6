import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  SkerryError,
  isKindName,
  isRecord,
  kindNames,
  kindWord,
  kinds,
  wishParser,
  type KindName,
  type ResourceOf,
} from "@skerry/model";
import type { ResourceKey } from "@skerry/sdk";
import type { Session } from "../session.ts";
import { nameOf } from "../output/plan-lines.ts";

/** Those first that others stand on; a token comes after whom it stands for. */
export const kindOrder: readonly KindName[] = [
  ...kindNames.filter((kind) => !isRecord(kind) && kind !== "ApiToken"),
  "ApiToken",
];

/** What one document of a file wishes of one object. */
export interface FileWish {
  readonly kind: KindName;
  readonly key: ResourceKey;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly spec: Partial<ResourceOf<KindName>["spec"]>;
  /** The file and the document in it. */
  readonly where: string;
}

/**
 * The wishes in files and folders, in the order in which kinds stand on each other.
 * @throws SkerryError invalid-request for what is no wish, or where two are of one object
 */
export async function readWishes(paths: readonly string[], session: Session): Promise<readonly FileWish[]> {
  const wishes = (await Promise.all(paths.map((path) => readDocuments(path))))
    .flat()
    .map(({ value, where }) => toWish(value, where, session))
    .toSorted((a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind));
  const seen = new Map<string, string>();
  for (const { kind, key, where } of wishes) {
    const name = nameOf(kind, key);
    const other = seen.get(name);
    if (other !== undefined)
      throw new SkerryError("invalid-request", `${name} is described twice: in ${other} and in ${where}.`, {
        remedy: "Each document is all that is wished of its object: make one of the two.",
      });
    seen.set(name, where);
  }
  return wishes;
}

interface Document {
  readonly value: unknown;
  readonly where: string;
}

async function readDocuments(path: string): Promise<Document[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw new SkerryError("invalid-request", `--file: ${path} cannot be read.`, {
      remedy: "Check the path.",
      cause: error,
    });
  });
  if (found.isDirectory()) {
    const names = (await readdir(path)).filter((name) => /\.(ya?ml|json)$/.test(name)).toSorted();
    return (await Promise.all(names.map((name) => readDocuments(join(path, name))))).flat();
  }
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(await readFile(path, "utf8"), { maxAliasCount: 100 } as never);
  return [...documents]
    .filter((document) => document.contents !== null)
    .map((document, index) => {
      const [error] = document.errors;
      if (error !== undefined)
        throw new SkerryError("invalid-request", `${path}: ${error.message}`, { remedy: "Correct the YAML." });
      return { value: document.toJS({ maxAliasCount: 100 }) as unknown, where: `${path}, document ${index + 1}` };
    });
}

function toWish(value: unknown, where: string, session: Session): FileWish {
  const kind = typeof value === "object" && value !== null && "kind" in value ? String(value.kind) : "";
  if (!isKindName(kind) || isRecord(kind))
    throw new SkerryError("invalid-request", `${where} has no known kind ("${kind}").`, {
      remedy: `Its kind must be one of ${kindOrder.join(", ")}.`,
    });
  const { metadata, spec } = wishParser(kind, `${kindWord(kind)} in ${where}`)(value);
  const { name, project, labels } = metadata ?? {};
  if (name === undefined)
    throw new SkerryError("invalid-request", `${where} has no metadata.name.`, { remedy: "Name it." });
  const key = kinds[kind].scope === "project" && project !== undefined ? { project, name } : session.key(kind, name);
  return { kind, key, labels, spec: spec ?? {}, where };
}

/** Names the document in what went wrong with its wish. */
export function inDocument(error: unknown, { where }: FileWish): unknown {
  if (!(error instanceof SkerryError)) return error;
  const { remedy, errors, facts } = error;
  return new SkerryError(error.code, `${where}: ${error.message}`, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(errors === undefined ? {} : { errors }),
    ...(facts === undefined ? {} : { facts }),
    cause: error,
  });
}
