import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import {
  SkerryError,
  inputParser,
  isKindName,
  kindNames,
  kindWord,
  kinds,
  planLimits,
  type KindName,
  type ResourceOf,
} from "@skerry/model";
import type { PlannedResource } from "@skerry/sdk";
import { concludeMutation, showChanges } from "../mutation.ts";
import { openSession, withMutation } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";

/** Creates or replaces what files describe, in the order in which kinds stand on each other. */
export function addApplyCommand(program: Command, { terminal, signal }: CommandDeps): void {
  withMutation(program.command("apply"))
    .description("create or replace the resources that YAML or JSON files describe")
    .requiredOption("-f, --file <path...>", "file, or folder of .yaml and .json files")
    .action(async (flags: { file: readonly string[]; dryRun?: boolean }, self: Command) => {
      const session = await openSession(terminal, self);
      const documents = (await Promise.all(flags.file.map(readDocuments)))
        .flat()
        .toSorted((a, b) => kindNames.indexOf(a.kind) - kindNames.indexOf(b.kind));
      const resources = documents.map(({ kind, name, project, labels, spec }) => ({
        kind,
        key: kinds[kind].scope === "project" && project !== undefined ? { project, name } : session.key(kind, name),
        draft: { spec, labels },
      }));
      if (flags.dryRun ?? false) {
        // One rehearsal of all, so that what stands on an earlier one finds it there.
        const plan = resources.map(({ kind, key, draft: { spec, labels } }) => ({
          kind,
          metadata: { ...key, labels },
          spec,
        }));
        if (plan.length === 0) return showChanges(terminal, session, { changes: [], quota: [] });
        checkRehearsable(plan);
        return showChanges(terminal, session, await session.client.planAll(plan, signal));
      }
      for (const { kind, key, draft } of resources) {
        const mutation = await session.client.put(kind, key, draft, {}, signal);
        await concludeMutation(terminal, session, "applied", mutation, signal);
      }
    });
}

/** Later ones are rehearsed on earlier ones, so they can't go in parts. @throws SkerryError too-large */
function checkRehearsable(resources: readonly PlannedResource[]): void {
  const { resources: most, bytes } = planLimits;
  const sent = Buffer.byteLength(JSON.stringify({ resources }));
  if (resources.length <= most && sent <= bytes) return;
  const what = resources.length > most ? `${resources.length} resources` : `${sent} bytes of resources`;
  throw new SkerryError(
    "too-large",
    `--dry-run takes at most ${most} resources and ${bytes} bytes at once; here are ${what}.`,
    {
      remedy:
        "Rehearse and apply file by file, those first that others stand on; or apply all without --dry-run, which sends them one by one.",
    },
  );
}

interface Document {
  readonly kind: KindName;
  readonly name: string;
  readonly project: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly spec: ResourceOf<KindName>["spec"];
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
      return toDocument(document.toJS({ maxAliasCount: 100 }), `${path}, document ${index + 1}`);
    });
}

function toDocument(value: unknown, where: string): Document {
  const kind = typeof value === "object" && value !== null && "kind" in value ? String(value.kind) : "";
  if (!isKindName(kind))
    throw new SkerryError("invalid-request", `${where} has no known kind ("${kind}").`, {
      remedy: `Its kind must be one of ${kindNames.join(", ")}.`,
    });
  const parsed = inputParser(kind, `${kindWord(kind)} in ${where}`)(value);
  const name = parsed.metadata?.name;
  if (name === undefined)
    throw new SkerryError("invalid-request", `${where} has no metadata.name.`, { remedy: "Name it." });
  return { kind, name, project: parsed.metadata?.project, labels: parsed.metadata?.labels, spec: parsed.spec };
}
