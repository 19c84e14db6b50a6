import type { Command } from "commander";
import { SkerryError, isRecord, kindNames, kindWord, kinds, type KindName } from "@skerry/model";
import { concludeMutation, showPlan } from "../mutation.ts";
import { renderList, renderValue } from "../output/render.ts";
import { openSession, withConnection, withMutation, type Session } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { draftFlags } from "./draft-flags.ts";
import type { DraftFlags } from "./flag-values.ts";
import { labelsOf } from "./labels.ts";

/** `list`, `show`, `create`, `label` and `delete` for every kind, from the one table of kinds. */
export function addKindCommands(program: Command, deps: CommandDeps): void {
  for (const kind of kindNames) {
    const command = program.command(kindWord(kind)).description(summaries[kind]);
    addReads(command, kind, deps);
    if (!isRecord(kind)) addWrites(command, kind, deps);
  }
}

const summaries: Record<KindName, string> = {
  Organisation: "who owns projects",
  Project: "a tenant's space",
  Provider: "who owns capacity, and under whose law",
  Site: "a place with coordinates, country, tier and energy",
  Node: "a host at a site, run by an agent",
  Image: "what a guest's disk is made from",
  Volume: "a disk",
  Network: "an isolated segment, in one site or across many",
  Instance: "a guest: create, start, stop, move, reach its console",
  Operation: "a durable job and its steps",
  JoinToken: "lets one agent join once",
  ApiToken: "lets a person or program call the API",
  User: "a person",
  Group: "users who are given roles together",
  ServiceAccount: "a program of a project",
  Role: "what may be done, as Cedar policies",
  IdentityProvider: "who else says who somebody is, by OpenID Connect",
  RoleBinding: "gives a role to some, somewhere",
  DisruptionBudget: "how many of some instances may be down at once while nodes are drained",
  Meter: "what usage reports take besides what is there; see: skerry usage",
};

interface ListFlags {
  readonly label?: string;
  readonly node?: string;
  readonly for?: string;
  readonly allProjects?: boolean;
}

/** `instance/web`, in the session's project, as the API takes it. */
function targetOf(session: Session, what: string | undefined): string | undefined {
  if (what === undefined) return undefined;
  const [noun = "", ...place] = what.split("/");
  const kind = kindNames.find((one) => kindWord(one) === noun || kinds[one].plural === noun);
  if (kind === undefined || place.length === 0) {
    throw new SkerryError("invalid-request", `"${what}" is not a kind and a name.`, {
      remedy: "Write it as instance/NAME, or another kind's noun in place of instance.",
    });
  }
  const { project, name } = session.key(kind, place.join("/"));
  return [kind, ...(project === undefined ? [] : [project]), name].join("/");
}

function addReads(parent: Command, kind: KindName, { terminal, signal }: CommandDeps): void {
  const list = withConnection(parent.command("list"))
    .description(`list ${kinds[kind].plural}`)
    .option("-l, --label <selector>", "only with these labels: a=b,c!=d")
    .option("-A, --all-projects", "of every project");
  if (kind === "Instance" || kind === "Volume") list.option("--node <name>", "only what is on this node");
  if (kind === "Operation") list.option("--for <what>", "only what works on this: instance/NAME, node/NAME, ...");
  list.action(async (options: ListFlags, command: Command) => {
    const session = await openSession(terminal, command);
    const project = (options.allProjects ?? false) || kinds[kind].scope === "zone" ? undefined : session.project;
    const items = await session.client.listAll(
      kind,
      { project, labelSelector: options.label, node: options.node, target: targetOf(session, options.for) },
      signal,
    );
    await renderList(terminal, kind, items, session.output, Date.now(), options.allProjects);
  });

  withConnection(parent.command("show <name>"))
    .description("show one, whole")
    .action(async (name: string, _options: unknown, command: Command) => {
      const session = await openSession(terminal, command);
      await renderValue(terminal, await session.client.get(kind, session.key(kind, name), signal), session.output);
    });
}

function addCreate<K extends KindName>(
  parent: Command,
  kind: K,
  flags: DraftFlags<K> | undefined,
  { terminal, signal }: CommandDeps,
): void {
  if (flags === undefined) return;
  const create = withMutation(parent.command("create <name>"))
    .description("make one")
    .option("-l, --label <key=value...>", "labels");
  flags.declare(create);
  create.action(async (name: string, options: Record<string, unknown>, command: Command) => {
    const session = await openSession(terminal, command);
    const key = session.key(kind, name);
    const draft = {
      spec: await flags.spec(options, signal),
      labels: labelsOf(options["label"] as readonly string[] | undefined),
    };
    if (options["dryRun"] === true) return showPlan(terminal, session, kind, key, { verb: "put", draft }, signal);
    const mutation = await session.client.put(kind, key, draft, { ifAbsent: true }, signal);
    const resource = await flags.complete?.(terminal, session.client, key, mutation.resource, options, signal);
    const completed = resource === undefined ? mutation : { ...mutation, resource };
    await concludeMutation(terminal, session, "created", completed, signal);
  });
}

function addWrites(parent: Command, kind: KindName, deps: CommandDeps): void {
  const { terminal, signal } = deps;
  addCreate(parent, kind, draftFlags[kind] as DraftFlags<KindName> | undefined, deps);

  withMutation(parent.command("label <name> <labels...>"))
    .description("set labels (key=value) or remove them (key-)")
    .action(async (name: string, words: readonly string[], options: { dryRun?: boolean }, command: Command) => {
      const session = await openSession(terminal, command);
      const removed = words.filter((word) => word.endsWith("-")).map((word) => [word.slice(0, -1), null] as const);
      const patch = {
        metadata: {
          labels: { ...labelsOf(words.filter((word) => !word.endsWith("-"))), ...Object.fromEntries(removed) },
        },
      };
      const key = session.key(kind, name);
      if (options.dryRun ?? false) return showPlan(terminal, session, kind, key, { verb: "patch", patch }, signal);
      await concludeMutation(
        terminal,
        session,
        "labelled",
        await session.client.patch(kind, key, patch, {}, signal),
        signal,
      );
    });

  withMutation(parent.command("delete <name>"))
    .description("delete one, with what belongs to it")
    .action(async (name: string, options: { dryRun?: boolean }, command: Command) => {
      const session = await openSession(terminal, command);
      const key = session.key(kind, name);
      if (options.dryRun ?? false) return showPlan(terminal, session, kind, key, { verb: "delete" }, signal);
      const mutation = await session.client.delete(kind, key, {}, signal);
      const goesOn = mutation.operation !== undefined;
      await concludeMutation(terminal, session, goesOn ? "deleting" : "deleted", mutation, signal);
      if (goesOn && session.wait && session.output === "table")
        terminal.err.write(`${kindWord(kind)} ${mutation.resource.metadata.name} deleted\n`);
    });
}
