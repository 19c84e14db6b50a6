/** A process that holds a share of a simulated fleet: few enough for the descriptors that one may have. */
import { Agent } from "node:https";
import { enrol, type NodeIdentity } from "./enrol.ts";
import type { FleetNews, FleetOrder, NodeStart } from "./messages.ts";
import { NodeLink, type LinkCounters } from "./node-link.ts";

const countMs = 1000;
/** So many join at a time. */
const joining = 16;

const counters: LinkCounters = { linked: 0, links: 0, ends: 0, running: 0, refused: 0 };
const links: NodeLink[] = [];
const waiting: NodeStart[] = [];
let server = { url: "", authority: "" };
let agent: Agent | undefined;
let busy = 0;

function tell(news: FleetNews): void {
  process.send?.(news);
}

function startNext(): void {
  while (busy < joining) {
    const next = waiting.shift();
    if (next === undefined) return;
    busy += 1;
    begin(next)
      .catch((error: unknown) =>
        tell({ type: "failed", name: next.plan.name, message: error instanceof Error ? error.message : String(error) }),
      )
      .finally(() => {
        busy -= 1;
        startNext();
      });
  }
}

async function begin({ plan, start }: NodeStart): Promise<void> {
  let identity: NodeIdentity;
  if ("identity" in start) identity = start.identity;
  else {
    if (agent === undefined) throw new Error("nothing was said of the server");
    identity = await enrol(server.url, agent, start.token, plan.name);
    tell({ type: "joined", name: plan.name, identity });
  }
  const link = new NodeLink(plan, identity, server, counters);
  links.push(link);
  link.open();
}

process.on("message", (order: FleetOrder) => {
  switch (order.type) {
    case "serve":
      server = { url: order.server, authority: order.authority };
      agent = new Agent({ ca: order.authority, keepAlive: true, maxSockets: joining });
      return;
    case "nodes":
      waiting.push(...order.nodes);
      startNext();
      return;
    case "close":
      for (const link of links) link.close();
      agent?.destroy();
      process.exit(0);
  }
});
// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
setInterval(() => {
  const { user, system } = process.cpuUsage();
  tell({ type: "counts", counts: counters, residentBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1000 });
}, countMs);
