import type { IncomingMessage } from "node:http";
import { SkerryError } from "@skerry/model";
import { buildApi } from "../api/app.ts";
import type { ApiDeps } from "../api/deps.ts";
import { RightsIndex } from "../authorisation/rights-index.ts";
import { makeTokenWatch } from "../authorisation/token-watch.ts";
import { AddressBook } from "../controllers/addressing/address-book.ts";
import { SpendBook, withSpend } from "../controllers/quotas/spend-book.ts";
import { UsageBook } from "../controllers/quotas/usage-book.ts";
import { storedUnreachable, withReachability } from "../controllers/reachability.ts";
import { PeopleIndex } from "../sign-in/people-index.ts";
import { makeForward, type ForwardDeps } from "./forward.ts";
import { servingOf, type ClosableServing } from "./serving.ts";

export interface StandbyDeps
  extends
    Omit<
      ApiDeps,
      | "gateway"
      | "agentRoutes"
      | "tokens"
      | "rights"
      | "people"
      | "ratesOf"
      | "rebalancing"
      | "usage"
      | "spend"
      | "fleet"
      | "freshen"
      | "seenAtMs"
      | "unreachable"
      | "stopping"
    >,
    ForwardDeps {}

/** What a replica that follows serves: reads and event streams from its own memory, everything else by the leader. */
export async function startStandby(deps: StandbyDeps): Promise<ClosableServing> {
  const stopping = new AbortController();
  const rights = new RightsIndex(deps.store);
  const people = new PeopleIndex(deps.store);
  const tokens = makeTokenWatch(deps.store, rights, deps.clock);
  const addresses = new AddressBook(deps.store);
  const usage = new UsageBook(deps.store);
  const spend = new SpendBook(deps.store);
  const unreachable = (nodeId: string) => storedUnreachable(deps.store, nodeId, deps.clock.nowMs());
  const { app } = await buildApi({
    ...deps,
    tokens,
    usage,
    spend,
    rights,
    people,
    // What changes anything goes to the leader.
    ratesOf: () => ({}),
    rebalancing: { propose: nothingHere, begin: nothingHere },
    fleet: {
      in: () => [],
      snapshot: placesNothing,
      requestOf: placesNothing,
      withPeers: placesNothing,
    },
    gateway: {
      openStream: () => Promise.reject(new SkerryError("unavailable", "This replica has no links to nodes.")),
    },
    agentRoutes: [],
    // What agents report between two records of it is the leader's alone.
    freshen: (resource) =>
      withSpend(
        spend,
        deps.store,
        deps.clock.nowMs(),
        usage.counted(addresses.counted(withReachability(resource, unreachable))),
      ),
    seenAtMs: () => undefined,
    unreachable,
    stopping: stopping.signal,
  });
  const own = servingOf(app);
  const forward = makeForward(deps);
  return {
    request: (request, response) => (isRead(request) ? own : forward).request(request, response),
    upgrade: (request, socket, head) => forward.upgrade(request, socket, head),
    async close() {
      stopping.abort(new SkerryError("unavailable", "This replica changes its role: connect again."));
      tokens.close();
      spend.close();
      usage.close();
      people.close();
      rights.close();
      addresses.close();
      await app.close();
      forward.close();
    },
  };
}

function placesNothing(): never {
  throw new SkerryError("unavailable", "This replica places nothing.");
}

function isRead({ method, url = "" }: IncomingMessage): boolean {
  // Why things are where they are the leader alone remembers.
  if (/^[^?]*\/instances\/[^/?]*\/placement(\?|$)/.test(url)) return false;
  return method === "GET" && (url.startsWith("/api/v1/") || url === "/livez");
}

function nothingHere(): never {
  throw new SkerryError("unavailable", "This replica follows; it moves nothing.");
}
