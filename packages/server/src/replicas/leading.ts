import { SkerryError, makeId as makeIdAt, type ProviderResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import { buildApi } from "../api/app.ts";
import { ensureAdminToken } from "../authorisation/admin-token.ts";
import type { FailureLimit } from "../authorisation/failure-limit.ts";
import { RightsIndex } from "../authorisation/rights-index.ts";
import { makeTokenWatch } from "../authorisation/token-watch.ts";
import { makeControllers } from "../controllers/controllers.ts";
import { makeAgentGateway } from "../gateway/agent-gateway.ts";
import { cleanImages } from "../images/image-cleaning.ts";
import type { ImageFiles } from "../images/image-files.ts";
import { OwnRateBook } from "../limits/own-rates.ts";
import type { RequestLimits } from "../limits/request-limits.ts";
import type { ServerMetrics } from "../metrics/server-metrics.ts";
import type { Clock } from "../operations/clock.ts";
import type { HostProvisioner } from "../operations/host-provisioner.ts";
import type { Log } from "../operations/log.ts";
import type { Random } from "../operations/random.ts";
import type { Authority } from "../pki/authority.ts";
import { openProviderKey } from "../secrets/provider-key.ts";
import type { Sealer } from "../secrets/sealer.ts";
import type { AttemptLimit } from "../sign-in/attempt-limit.ts";
import { openFirstStart } from "../sign-in/first-start.ts";
import type { PasswordHasher } from "../sign-in/password.ts";
import { PeopleIndex } from "../sign-in/people-index.ts";
import { servingOf, type ClosableServing } from "./serving.ts";

/** What a control plane stands on whatever its role. */
export interface Foundation {
  readonly store: Store;
  readonly authority: Authority;
  readonly sealer: Sealer;
  readonly images: ImageFiles;
  readonly provisioner: HostProvisioner;
  readonly adminTokenFile: string;
  readonly failures: FailureLimit;
  readonly attempts: AttemptLimit;
  readonly hasher: PasswordHasher;
  /** Where the link for the first local user is kept, and where it leads. */
  readonly firstStart: { readonly file: string; readonly url: string };
  readonly limits: RequestLimits;
  readonly metrics: ServerMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether no other server of this zone can lead by now. */
  readonly surelyLeads: () => boolean;
  /** Of this software. */
  readonly version: string;
}

/** How often agents show that they live. */
const heartbeatMs = 5000;

/** Runs the zone: controllers, operations, the agents' links and the whole API. What another left half done is taken up. */
export async function startLeading(foundation: Foundation): Promise<ClosableServing> {
  const { store, authority, sealer, images, failures, clock, random, log, adminTokenFile } = foundation;
  const makeId = (prefix: string): string => makeIdAt(prefix, clock.nowMs(), random.bytes(10));
  // Whatever was started is ended in reverse order: after a start that fails halfway, and when another leads.
  await using started = new AsyncDisposableStack();
  const isNew = await ensureAdminToken(store, clock, makeId, adminTokenFile);
  if (isNew) log.info({ file: adminTokenFile }, "an admin's token was made");
  started.defer(await cleanImages(store, images, log));
  const rights = new RightsIndex(store);
  started.defer(() => rights.close());
  const people = new PeopleIndex(store);
  started.defer(() => people.close());
  const firstStart = await openFirstStart({ store, rights, clock, ...foundation.firstStart }, isNew);
  const rates = new OwnRateBook(store);
  started.defer(() => rates.close());
  const controllers = makeControllers({
    ...foundation,
    rights,
    people,
    openKey: (provider: ProviderResource) => openProviderKey(sealer, provider),
    authorityFingerprint: authority.fingerprint,
    heartbeatMs,
    monotonicMs: () => performance.now(),
  });
  started.defer(() => controllers.stop());
  const { intents, delegate } = controllers;
  const gateway = makeAgentGateway({
    ...{ store, intents, delegate, authority, images, failures },
    ...{ clock, log, makeId, heartbeatMs, metrics: foundation.metrics },
  });
  const tokens = makeTokenWatch(store, rights, clock);
  started.defer(() => tokens.close());
  const stopping = new AbortController();
  const { app } = await buildApi({
    ...foundation,
    intents,
    gateway,
    agentRoutes: gateway.routes,
    usage: controllers.usage,
    spend: controllers.spend,
    fleet: controllers.fleet,
    rebalancing: controllers.rebalancing,
    freshen: (resource) => controllers.freshen(resource),
    seenAtMs: (nodeId, objectId) => controllers.seenAtMs(nodeId, objectId),
    unreachable: (nodeId) => controllers.unreachable(nodeId),
    tokens,
    rights,
    people,
    firstStart,
    ratesOf: (project) => rates.of(project, rights.roles.organisationOf(project)),
    makeId,
    stopping: stopping.signal,
  });
  started.defer(() => app.close());
  started.defer(() => {
    stopping.abort(new SkerryError("unavailable", "The server stops."));
    gateway.close();
  });
  await controllers.start(gateway);
  const all = started.move();
  return { ...servingOf(app), close: () => all.disposeAsync() };
}
