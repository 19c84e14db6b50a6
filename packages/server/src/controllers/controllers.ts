import type { Condition, KindName, ProviderResource, ResourceOf } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { Gateway, GatewayDelegate } from "../gateway/gateway.ts";
import type { IntentTable } from "../intents.ts";
import type { Clock } from "../operations/clock.ts";
import { makeOperationEngine } from "../operations/engine.ts";
import type { HostProvisioner } from "../operations/host-provisioner.ts";
import type { Log } from "../operations/log.ts";
import type { NodeSight } from "../operations/node-sight.ts";
import type { OperationEngine } from "../operations/operation-kind.ts";
import type { ConvoyDeps } from "../operations/kinds/convoy/convoy.ts";
import type { Random } from "../operations/random.ts";
import { operationKinds } from "../operations/registry.ts";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import type { PeopleIndex } from "../sign-in/people-index.ts";
import { AddressBook } from "./addressing/address-book.ts";
import { Allocation } from "./allocation.ts";
import { BudgetBook } from "./disruption/budget-book.ts";
import { Fleet } from "./fleet.ts";
import { makeIntents } from "./intents.ts";
import { LeaseBook } from "./lease-book.ts";
import { Metering } from "./metering/metering.ts";
import { NodeReports } from "./node-reports.ts";
import { NodeWatch, withFreshSeenAt } from "./node-watch.ts";
import { unreachableCondition, withReachability } from "./reachability.ts";
import { SpendBook, withSpend } from "./quotas/spend-book.ts";
import { UsageBook } from "./quotas/usage-book.ts";
import { makeRebalancing, type Rebalancing } from "./rebalancing.ts";
import { Replacing } from "./replacing.ts";
import { TokenCleaning } from "./token-cleaning.ts";
import { WantedStates } from "./wanted-states.ts";

export interface ControllersDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly rights: RightsIndex;
  readonly people: PeopleIndex;
  readonly log: Log;
  readonly provisioner: HostProvisioner;
  /** A provider's private key in clear text. */
  readonly openKey: (provider: ProviderResource) => string | undefined;
  /** SHA-256 of the zone authority's certificate, hex. */
  readonly authorityFingerprint: string;
  /** How often agents report; the gateway tells them in its welcome. */
  readonly heartbeatMs: number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number;
  /** Whether no other server of this zone can lead by now. */
  readonly surelyLeads: () => boolean;
}

/** What makes the zone follow what is asked and show what is seen. */
export interface Controllers {
  readonly intents: IntentTable;
  readonly engine: OperationEngine;
  /** What the gateway asks; usable before `start`. */
  readonly delegate: GatewayDelegate;
  /** What projects and organisations have. */
  readonly usage: Pick<UsageBook, "changesIn">;
  /** What months come to for them. */
  readonly spend: Pick<SpendBook, "of">;
  readonly fleet: Pick<Fleet, "in" | "snapshot" | "requestOf" | "withPeers">;
  readonly rebalancing: Rebalancing;
  /** The resource with the age of what was seen as of now: for replies. */
  freshen<R extends ResourceOf<KindName>>(resource: R): R;
  /** When the node last reported an object that it owns, milliseconds since 1970. */
  seenAtMs(nodeId: string, objectId: string): number | undefined;
  /** That a node is not heard now, as a condition of what is on it. */
  unreachable(nodeId: string): Condition | undefined;
  /** Begins to push wanted states through the gateway, and resumes operations. */
  start(gateway: Pick<Gateway, "isConnected" | "push" | "disconnect">): Promise<void>;
  stop(): Promise<void>;
}

/** Ties store, gateway and operations: changes become wanted states of nodes, reports become status. */
export function makeControllers(deps: ControllersDeps): Controllers {
  const { store, clock, random, log } = deps;
  let gateway: Pick<Gateway, "isConnected" | "push" | "disconnect"> | undefined;
  const reports = new NodeReports();
  // Listens to the store before the engine does, so that steps never judge by an outdated wanted state.
  const allocation = new Allocation(store);
  const addresses = new AddressBook(store);
  const fleet = new Fleet(store, allocation);
  const usage = new UsageBook(store);
  const spend = new SpendBook(store);
  const metering = new Metering(store);
  const budgets = new BudgetBook(store);
  const wanted = new WantedStates(store, (nodeId) => gateway?.push(nodeId));
  const sight: NodeSight = {
    report: (nodeId) => reports.get(nodeId)?.state,
    answers(nodeId, revision) {
      const reported = reports.get(nodeId)?.state.wantedRevision;
      if (reported === undefined) return false;
      // Many ask after each change, and making a state is dear: only where the answer depends on it.
      if (reported < revision && reported < (wanted.lastRevision(nodeId) ?? 0)) return false;
      const current = wanted.revisionOf(nodeId);
      return current !== undefined && reported >= Math.min(revision, current);
    },
    onChange: (listener) => reports.onChange(listener),
  };
  const leases = new LeaseBook(deps);
  // Operations that begin others, of which the engine is made in turn.
  const begun: ConvoyDeps["engine"] = {
    submit: (tx, request) => engine.submit(tx, request),
    requireIdle: (tx, subject, replaces) => engine.requireIdle(tx, subject, replaces),
    cancel: (tx, operation, actor) => engine.cancel(tx, operation, actor),
  };
  const kinds = operationKinds({
    ...deps,
    ...{ sight, leases, fleet, residents: wanted.fleet, convoys: { engine: begun, fleet, budgets } },
  });
  const engine: OperationEngine = makeOperationEngine({
    store,
    clock,
    random,
    log,
    kinds,
    wakeSources: [sight.onChange],
  });
  const isLinked = (nodeId: string) => gateway?.isConnected(nodeId) === true;
  const watch = new NodeWatch({
    store,
    clock,
    log,
    reports,
    fleet: wanted.fleet,
    isLinked,
    heartbeatMs: deps.heartbeatMs,
  });
  const replacing = new Replacing({ store, clock, log, leases, engine, sweepMs: deps.heartbeatMs });
  const cleaning = new TokenCleaning({ store, clock, log });
  const unreachable = (nodeId: string): Condition | undefined => {
    const heardMs = reports.get(nodeId)?.receivedMonotonicMs;
    const silentMs = heardMs === undefined ? undefined : clock.monotonicMs() - heardMs;
    return unreachableCondition(store, nodeId, { linked: isLinked(nodeId), silentMs }, deps.heartbeatMs, clock.nowMs());
  };
  let unsubscribe = () => {};
  return {
    intents: makeIntents({ ...deps, engine, allocation, addresses, fleet, usage, spend, residents: wanted.fleet }),
    engine,
    usage,
    spend,
    fleet,
    rebalancing: makeRebalancing({ engine, fleet, residents: wanted.fleet }),
    delegate: {
      publicKeyOf: (nodeId) => store.getById("Node", nodeId)?.status.publicKey,
      wantedStateOf: (nodeId) => wanted.get(nodeId),
      wantedChangeOf: (nodeId, since) => wanted.changeSince(nodeId, since),
      connected: (nodeId) => watch.linked(nodeId),
      disconnected: (nodeId) => watch.unlinked(nodeId),
      grant: (nodeId) => (leases.grant(nodeId) ? wanted.revisionOf(nodeId) : undefined),
      observed: (nodeId, state) => watch.observed(nodeId, state),
    },
    freshen: (resource) =>
      withSpend(
        spend,
        store,
        clock.nowMs(),
        usage.counted(
          budgets.counted(addresses.counted(withReachability(withFreshSeenAt(reports, resource), unreachable))),
        ),
      ),
    unreachable,
    seenAtMs: (nodeId, objectId) => reports.seenAtMs(nodeId, objectId),
    async start(link) {
      gateway = link;
      fleet.prepare();
      unsubscribe = store.subscribe((events) => {
        for (const event of events) {
          if (event.kind !== "Node" || event.type !== "deleted") continue;
          watch.forget(event.id);
          leases.forget(event.id);
          link.disconnect(event.id, "the node was deleted");
        }
      });
      await watch.start();
      engine.start();
      cleaning.start();
      replacing.start();
    },
    async stop() {
      unsubscribe();
      gateway = undefined;
      await cleaning.stop();
      await replacing.stop();
      await engine.stop();
      await watch.stop();
      wanted.close();
      metering.close();
      spend.close();
      usage.close();
      budgets.close();
      fleet.close();
      addresses.close();
      allocation.close();
    },
  };
}
