import { setTimeout as delay } from "node:timers/promises";
import { SkerryError, unnamedManager, type KindName, type Metadata, type ResourceOf } from "@skerry/model";
import type { Client, Mutation, ResourceKey } from "@skerry/sdk";
import { concludeMutation, followOperation } from "../mutation.ts";
import { nameOf, type Named } from "../output/plan-lines.ts";
import type { Terminal } from "../output/terminal.ts";
import type { Session } from "../session.ts";
import { kindOrder } from "./wish-files.ts";

/** What a manager made, and what of it may go. */
export interface PruneSet {
  readonly manager: string;
  /** `key=value`, of which all must hold; all that the manager made where empty. */
  readonly labels: readonly string[];
}

interface Prunable extends Named {
  readonly resource: ResourceOf<KindName>;
}

/** What of a set is wished no more, those first that stand on others; and what others have fields of, which stays. */
export interface Pruning {
  readonly gone: readonly Prunable[];
  readonly kept: readonly (Named & { readonly managers: readonly string[] })[];
}

const order = kindOrder.toReversed();

export async function findPrunable(
  client: Client,
  set: PruneSet,
  wished: readonly Named[],
  signal: AbortSignal,
): Promise<Pruning> {
  const names = new Set(wished.map(({ kind, key }) => nameOf(kind, key)));
  const labelSelector = set.labels.length === 0 ? undefined : set.labels.join(",");
  const gone: Prunable[] = [];
  const kept: (Named & { readonly managers: readonly string[] })[] = [];
  for (const kind of order) {
    for (const resource of await client.listAll(kind, { madeBy: set.manager, labelSelector }, signal)) {
      const { name, project, madeBy } = resource.metadata;
      const key = project === undefined ? { name } : { project, name };
      if (names.has(nameOf(kind, key)) || madeBy !== set.manager) continue;
      const managers = othersOf(resource.metadata, set.manager);
      if (managers.length > 0) kept.push({ kind, key, managers });
      else gone.push({ kind, key, resource });
    }
  }
  return { gone, kept };
}

/** Who else named the object in a wish. What was changed without a manager's name keeps nothing. */
function othersOf({ managers = [] }: Metadata, manager: string): string[] {
  return managers.map((one) => one.manager).filter((one) => one !== manager && one !== unnamedManager);
}

/** Deletes kind after kind, and waits until one is gone before it goes on to what that stood on. */
export async function prune(
  terminal: Terminal,
  session: Session,
  set: PruneSet,
  gone: readonly Prunable[],
  signal: AbortSignal,
): Promise<void> {
  const kinds = order.filter((kind) => gone.some((one) => one.kind === kind));
  for (const [index, kind] of kinds.entries()) {
    const deleted: (readonly [Prunable, Mutation<KindName>])[] = [];
    for (const one of gone.filter((other) => other.kind === kind)) {
      const mutation = await deleteMade(session.client, set, one, signal);
      if (mutation === undefined) continue;
      deleted.push([one, mutation]);
      const goesOn = mutation.operation !== undefined && index === kinds.length - 1;
      await concludeMutation(terminal, { ...session, wait: session.wait && goesOn }, "pruned", mutation, signal);
    }
    if (index === kinds.length - 1) continue;
    for (const [one, { operation }] of deleted) {
      if (operation !== undefined) await followOperation(terminal, session, operation, signal);
      await untilGone(session.client, one, signal);
    }
  }
}

const mostTries = 8;

/** Deletes it as it was found, or as it is now where it is still the manager's alone; undefined where it is gone. */
async function deleteMade(
  client: Client,
  set: PruneSet,
  { kind, key, resource }: Prunable,
  signal: AbortSignal,
): Promise<Mutation<KindName> | undefined> {
  let current: ResourceOf<KindName> = resource;
  for (let tries = 1; ; tries++) {
    const { id, madeBy, revision } = current.metadata;
    if (id !== resource.metadata.id || madeBy !== set.manager || othersOf(current.metadata, set.manager).length > 0) {
      throw new SkerryError("conflict", `${nameOf(kind, key)} is another's since it was found, and stays.`, {
        remedy: "Look at it, and apply again with --prune.",
      });
    }
    try {
      return await client.delete(kind, key, { ifRevision: revision }, signal);
    } catch (error) {
      if (!(error instanceof SkerryError) || tries === mostTries) throw error;
      if (error.code === "not-found") return undefined;
      // Its node may report it at any moment.
      if (error.code !== "revision-mismatch") throw error;
    }
    const found = await get(client, kind, key, signal);
    if (found === undefined) return undefined;
    current = found;
  }
}

const goneWithinMs = 120_000;
const askAgainMs = 250;

async function untilGone(client: Client, { kind, key, resource }: Prunable, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(goneWithinMs);
  while (!deadline.aborted) {
    const found = await get(client, kind, key, signal);
    if (found === undefined || found.metadata.id !== resource.metadata.id) return;
    await delay(askAgainMs, undefined, { signal });
  }
  throw new SkerryError(
    "deadline-exceeded",
    `${nameOf(kind, key)} is still being deleted after ${goneWithinMs / 1000} s.`,
    {
      remedy: "Apply again with --prune once it is gone: what it stands on goes then.",
    },
  );
}

async function get(
  client: Client,
  kind: KindName,
  key: ResourceKey,
  signal: AbortSignal,
): Promise<ResourceOf<KindName> | undefined> {
  try {
    return await client.get(kind, key, signal);
  } catch (error) {
    if (error instanceof SkerryError && error.code === "not-found") return undefined;
    throw error;
  }
}
