import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { SkerryError } from "@skerry/model";
import type { Client } from "@skerry/sdk";
import type { NodeIdentity } from "./enrol.ts";
import type { FleetNews, FleetOrder, NodeStart } from "./messages.ts";
import type { FleetPlan, NodePlan } from "./plan.ts";

/** Below the limit of 20,000 descriptors that many systems have. */
const nodesPerProcess = 15_000;
/** Requests under way at once while things are made. */
const making = 16;
const tokenSeconds = 3600;
/** Nodes of one message to a process. */
const handful = 200;

export interface FleetDeps {
  readonly client: Client;
  readonly server: string;
  /** PEM of the control plane's own authority. */
  readonly authority: string;
  /** What nodes of an earlier run of the same plan were. */
  readonly identities: ReadonlyMap<string, NodeIdentity>;
  readonly onJoined: (name: string, identity: NodeIdentity) => void;
  readonly onFailed: (name: string, message: string) => void;
}

export interface FleetCounts {
  readonly nodes: number;
  readonly linked: number;
  /** Links that were made, and that ended. */
  readonly links: number;
  readonly ends: number;
  readonly running: number;
  readonly refused: number;
  /** Of the processes that hold the nodes. */
  readonly residentBytes: number;
  readonly cpuMs: number;
}

/** Simulated nodes, linked to a real control plane as agents are. */
export interface Fleet {
  counts(): FleetCounts;
  /** Resolves once they count so. @throws what the signal says */
  until(condition: (counts: FleetCounts) => boolean, signal: AbortSignal): Promise<FleetCounts>;
  /** Ends the links; the control plane keeps the nodes. */
  close(): Promise<void>;
}

type Counts = Extract<FleetNews, { type: "counts" }>;

/**
 * Makes the sites that are missing, has each node join that has not yet, and links all of them.
 * @throws SkerryError of the requests; what else goes wrong with a node is told by `onFailed`, and the others go on
 */
export async function startFleet(plan: FleetPlan, deps: FleetDeps, signal: AbortSignal): Promise<Fleet> {
  await makeSites(plan, deps.client, signal);
  const latest = new Map<ChildProcess, Counts>();
  /** Names of the nodes that each process was given. */
  const held = new Map<ChildProcess, string[]>();
  const listeners = new Set<() => void>();
  const children = Array.from({ length: Math.ceil(plan.nodes.length / nodesPerProcess) }, () => {
    const child = fork(new URL("node-process.ts", import.meta.url), { execArgv: execArgvOf() });
    child.on("message", (news: FleetNews) => {
      if (news.type === "joined") deps.onJoined(news.name, news.identity);
      else if (news.type === "failed") deps.onFailed(news.name, news.message);
      else {
        latest.set(child, news);
        for (const listener of listeners) listener();
      }
    });
    child.on("exit", (code, signal) => {
      latest.delete(child);
      for (const name of held.get(child) ?? []) deps.onFailed(name, `its process has ended (${signal ?? code})`);
      for (const listener of listeners) listener();
    });
    order(child, { type: "serve", server: deps.server, authority: deps.authority });
    return child;
  });
  const counts = (): FleetCounts => {
    const sum = {
      nodes: plan.nodes.length,
      linked: 0,
      links: 0,
      ends: 0,
      running: 0,
      refused: 0,
      residentBytes: 0,
      cpuMs: 0,
    };
    for (const { counts: of, residentBytes, cpuMs } of latest.values()) {
      for (const key of ["linked", "links", "ends", "running", "refused"] as const) sum[key] += of[key];
      sum.residentBytes += residentBytes;
      sum.cpuMs += cpuMs;
    }
    return sum;
  };
  const close = async (): Promise<void> => {
    held.clear();
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, "exit");
        order(child, { type: "close" });
        await exited;
      }),
    );
  };
  try {
    await sendNodes(plan, deps, children, held, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    counts,
    until: (condition, limit) =>
      new Promise((resolve, reject) => {
        const end = (): void => {
          listeners.delete(look);
          limit.removeEventListener("abort", abort);
        };
        const look = (): void => {
          const now = counts();
          if (!condition(now)) return;
          end();
          resolve(now);
        };
        const abort = (): void => {
          end();
          reject(limit.reason as Error);
        };
        limit.addEventListener("abort", abort, { once: true });
        listeners.add(look);
        if (limit.aborted) abort();
        else look();
      }),
    close,
  };
}

function order(child: ChildProcess, what: FleetOrder): void {
  // One that has ended is seen by its counts.
  if (child.connected) child.send(what);
}

/** Nothing of a debugger or a profile of this process. */
function execArgvOf(): string[] {
  return process.execArgv.filter((flag) => flag.startsWith("--disable-warning"));
}

async function makeSites({ provider, sites }: FleetPlan, client: Client, signal: AbortSignal): Promise<void> {
  await makeOnce(() =>
    client.put(
      "Provider",
      { name: provider },
      { spec: { driver: "manual", country: "ES" } },
      { ifAbsent: true },
      signal,
    ),
  );
  await each(sites, (site) =>
    makeOnce(() => client.put("Site", { name: site.name }, { spec: site.spec }, { ifAbsent: true }, signal)),
  );
}

/** What is there stays as it is. */
async function makeOnce(make: () => Promise<unknown>): Promise<void> {
  try {
    await make();
  } catch (error) {
    if (!(error instanceof SkerryError) || error.code !== "already-exists") throw error;
  }
}

async function sendNodes(
  plan: FleetPlan,
  deps: FleetDeps,
  children: readonly ChildProcess[],
  held: Map<ChildProcess, string[]>,
  signal: AbortSignal,
): Promise<void> {
  const shares = children.map((): NodeStart[] => []);
  const send = (index: number): void => {
    const child = children[index];
    const share = shares[index];
    if (child === undefined || share === undefined) return;
    const nodes = share.splice(0);
    const names = nodes.map(({ plan: { name } }) => name);
    if (!child.connected) for (const name of names) deps.onFailed(name, "its process has ended");
    else {
      held.set(child, [...(held.get(child) ?? []), ...names]);
      order(child, { type: "nodes", nodes });
    }
  };
  let next = 0;
  await each(plan.nodes, async (node) => {
    const identity = deps.identities.get(node.name);
    const start = identity === undefined ? { token: await joinToken(node, deps.client, signal) } : { identity };
    const index = next++ % children.length;
    shares[index]?.push({ plan: node, start });
    if ((shares[index]?.length ?? 0) >= handful) send(index);
  });
  for (const index of children.keys()) send(index);
}

async function joinToken(node: NodePlan, client: Client, signal: AbortSignal): Promise<string> {
  const spec = {
    site: node.site,
    node: node.name,
    labels: { simulated: node.character },
    lifetimeSeconds: tokenSeconds,
  };
  const { secret } = await client.put("JoinToken", { name: node.name }, { spec }, {}, signal);
  if (secret === undefined)
    throw new SkerryError("conflict", `There is a join token ${node.name} already, of another run.`, {
      remedy: "Give another --seed, or the --data-dir of that run.",
    });
  return secret;
}

/** So many at once, in order. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: making }, async () => {
      for (let index = next++; index < items.length; index = next++) await work(items[index] as T);
    }),
  );
}
