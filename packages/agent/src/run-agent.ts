import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { formatEndpoint } from "@skerry/protocol";
import { makeVolumeClient } from "./data-plane/volume-client.ts";
import { serveVolumes } from "./data-plane/volume-server.ts";
import { openDrivers } from "./drivers/open-drivers.ts";
import { Facts } from "./facts.ts";
import { HealthMonitor } from "./health/health-monitor.ts";
import { probe } from "./health/probe.ts";
import { healthTargets } from "./health/targets.ts";
import { readIdentity } from "./identity.ts";
import { ImageCache } from "./images/image-cache.ts";
import { makeServerImages } from "./images/server-images.ts";
import { openJournal } from "./journal/journal.ts";
import { LeaseKeeper } from "./leases/lease-keeper.ts";
import { uptimeSeconds } from "./leases/uptime.ts";
import { Link } from "./link/link.ts";
import type { Log } from "./log.ts";
import { dataPlaneAddresses, defaults } from "./options.ts";
import type { AgentOptions } from "./options.ts";
import { Housekeeping, freePartOf } from "./reconcile/housekeeping.ts";
import { Reconciler } from "./reconcile/reconciler.ts";
import { isSameRun } from "./reconcile/situation.ts";
import { StreamDialer } from "./streams/stream-dialer.ts";

/**
 * Runs the node's agent until aborted: takes up from its journal, with the server or without, and leaves guests running
 * when it ends.
 * @throws SkerryError where the node has not joined, or another agent uses the data folder
 */
export async function runAgent(options: AgentOptions, log: Log, signal: AbortSignal): Promise<void> {
  const { dataFolder } = options;
  const identity = await readIdentity(dataFolder);
  if (identity === undefined) {
    throw new SkerryError("join-refused", `This host has not joined: ${dataFolder} holds no identity.`, {
      remedy: "Run `skerry agent join --server https://HOST:PORT --token TOKEN` first.",
    });
  }
  await mkdir(dataFolder, { recursive: true });
  // Hypervisors run as users of their own and must reach the disks below, but not list what is here.
  await chmod(dataFolder, 0o711);
  using journal = openJournal(dataFolder, log);
  const nowMs = (): number => Date.now();
  const random = (): number => Math.random();
  using drivers = await openDrivers(options.driver ?? "libvirt", dataFolder, options.simulated);
  const overlayPort = options.overlayPort ?? defaults.overlayPort;
  const factOptions = { dataFolder, capacityOverride: options.capacityOverride };
  // One ends, all end: the journal is closed last.
  const stop = new AbortController();
  const running = AbortSignal.any([signal, stop.signal]);

  const images = await ImageCache.open(
    join(dataFolder, "images"),
    makeServerImages(identity, () => link.sessionToken()),
  );
  const health = new HealthMonitor({
    probe: ({ instanceId, address, check }, attemptMs, each) =>
      probe(drivers.compute, instanceId, address, check, attemptMs, each),
    nowMs,
    onChange: () => link.changed(),
    onFirstHealthy: ({ instanceId, startedAtMs }, atMs) => {
      const { boot } = journal.instance(instanceId);
      if (boot !== undefined && isSameRun(boot.startedAtMs, startedAtMs)) return;
      const bootMs = Math.max(0, Math.round(atMs - startedAtMs));
      guarded(log, "a boot time was not journalled", () =>
        journal.changeInstance(instanceId, { boot: { startedAtMs, bootMs } }),
      );
    },
  });
  const leases = new LeaseKeeper({
    guard: drivers.guard,
    uptimeSeconds,
    wanted: () => journal.wanted(),
    onChange: () => reconciler.look(),
  });
  using _leases = leases;
  const housekeeping = new Housekeeping({ journal, images, freePart: () => freePartOf(dataFolder), nowMs, log });
  const reconciler = new Reconciler({
    drivers,
    journal,
    images,
    source: makeVolumeClient(identity),
    settings: { stopGraceMs: options.stopGraceMs ?? defaults.stopGraceMs, overlayListenPort: overlayPort },
    pollMs: options.pollMs ?? defaults.pollMs,
    leases: () => leases.view(),
    health: (id) => health.health(id),
    nowMs,
    random,
    log,
    onKept: () => {
      guarded(log, "the guard could not be told of leases", () => leases.refresh());
      // What was granted for an older one may not have counted.
      link.askLeases();
    },
    onChange: (situation) => {
      if (situation !== undefined) {
        health.watch(healthTargets(situation));
        housekeeping.tidy(situation.seen);
      }
      link.changed();
    },
  });

  const addresses = dataPlaneAddresses(options);
  const listenAddress = options.listenAddress ?? defaults.listenAddress;
  const port = await serveVolumes(
    listenAddress,
    addresses.port,
    { identity, volumes: drivers.volume, offers: reconciler.offers, log },
    running,
  );
  log.info({ node: identity.nodeName, port, driver: drivers.compute.name }, "the agent runs");

  const facts = new Facts(drivers, factOptions, () => {
    const host = addresses.host ?? link.localAddress;
    if (host === undefined) return {};
    return {
      dataEndpoint: addresses.endpoint ?? formatEndpoint(host, port),
      overlayEndpoint: formatEndpoint(host, overlayPort),
    };
  });
  const streams = new StreamDialer({ identity, compute: drivers.compute, wanted: () => journal.wanted(), log });
  const link: Link = new Link({
    identity,
    reconnect: options.reconnect ?? defaults.reconnect,
    wantedRevision: () => journal.wanted()?.revision ?? 0,
    observed: () => ({ facts: facts.current(), ...reconciler.report() }),
    onWanted: (state) => {
      if (state.node.id === identity.nodeId) reconciler.accept(state);
      else log.error({ nodeId: state.node.id }, "ignored a wanted state of another node");
    },
    beat: () => leases.beat(),
    onGranted: (beat, wantedRevision) =>
      guarded(log, "a lease could not be kept", () => leases.granted(beat, wantedRevision)),
    onOpenStream: ({ streamId, target }, session) => {
      streams.dial(streamId, target, session.welcome.sessionToken, running).catch((error: unknown) => {
        log.info({ error, target }, "a stream could not be opened");
        session.send({
          type: "stream-failed",
          streamId,
          detail: error instanceof Error ? error.message : String(error),
        });
      });
    },
    onConnected: () => reconciler.retryNow(),
    random,
    log,
  });
  // Guests don't wait for the hypervisor to be probed, and the server is told nothing before it was.
  const linked = async (): Promise<void> => {
    await facts.keepRead(random, log, running);
    if (!running.aborted) await link.run(running);
  };
  guarded(log, "the guard could not be told of leases", () => leases.refresh());
  const parts = [reconciler.run(running), linked()];
  try {
    await Promise.all(parts);
  } finally {
    stop.abort(new Error("the agent ends"));
    health.watch([]);
    await Promise.allSettled(parts);
    await housekeeping.settled();
  }
}

/** Does what may fail for want of disk space, and remarks it: the next report or event brings it again. */
function guarded(log: Log, failure: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    log.error({ error }, failure);
  }
}
