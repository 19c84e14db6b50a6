import { isIP } from "node:net";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { openPostgresStore, openSqliteStore } from "@skerry/store";
import { listen, type ListenAddress } from "./api/listener.ts";
import { FailureLimit } from "./authorisation/failure-limit.ts";
import { loadPolicyEngine } from "./authorisation/policies.ts";
import { openImageFiles } from "./images/image-files.ts";
import { RequestLimits, type RequestLimitOptions } from "./limits/request-limits.ts";
import { makeJsonLog } from "./log.ts";
import { ServerMetrics } from "./metrics/server-metrics.ts";
import { systemClock } from "./operations/clock.ts";
import type { Log } from "./operations/log.ts";
import { systemRandom } from "./operations/random.ts";
import { openAuthority } from "./pki/authority.ts";
import { prepareAhead } from "./provisioning/artifact-preparation.ts";
import { makeSshProvisioner } from "./provisioning/ssh-provisioner.ts";
import { followRoles, leadAlways } from "./replicas/roles.ts";
import { ensurePrivateDirectory, readPrivateFile } from "./secrets/private-file.ts";
import { refuseLostKeys } from "./secrets/lost-keys.ts";
import { openSealer } from "./secrets/sealer.ts";
import { AttemptLimit } from "./sign-in/attempt-limit.ts";
import { PasswordHasher, type PasswordCost } from "./sign-in/password.ts";

export interface ServerOptions {
  /** State, keys and images; made where it is missing, and closed to all but its owner. */
  readonly dataDir: string;
  /** postgres://… that several replicas share; an SQLite file in the data directory where absent. */
  readonly store?: string;
  /** Where images are kept, which replicas share; in the data directory where absent. */
  readonly imagesDir?: string;
  /** Port 0: any that is free. */
  readonly listen: readonly ListenAddress[];
  /** Names and addresses that agents and clients use; the first is what new nodes dial. */
  readonly advertise: readonly string[];
  /** How much whoever asks may ask for, where not the usual. */
  readonly limits?: Partial<RequestLimitOptions>;
  /** Of this software. */
  readonly version: string;
  /** Writes the agent as one file, for hosts that are provisioned; without it provisioning is refused. */
  readonly bundleAgent?: (outFile: string) => Promise<unknown>;
  /** Where the agent's compressed files are kept; in the data directory where absent. */
  readonly artifactsDir?: string;
  /** What a password's hash costs; OWASP's recommendation where absent. */
  readonly passwordCost?: PasswordCost;
  /** Where log lines go, one JSON object each; standard error where absent. */
  readonly writeLog?: (line: string) => void;
}

/** A control plane that serves. */
export interface RunningServer extends AsyncDisposable {
  /** Where new nodes and clients reach it. */
  readonly url: string;
  /** PEM of the zone's own authority. */
  readonly caFile: string;
  /** Written at the first start, where the zone had no administrator yet; else it may not be there. */
  readonly adminTokenFile: string;
  readonly hasAdminTokenFile: boolean;
  /** Of the very first start: opens once, for who is to administer the platform by a password. */
  readonly firstStartLink?: string;
  /** Where the link is kept as long as nobody has used it. */
  readonly firstStartFile?: string;
  /** Resolves when it can't go on, which only a replica of several can come to: close it and start anew. */
  readonly lost: Promise<SkerryError>;
  /** Takes no more requests, ends streams and links, lets the rest finish and be written. May be called again. */
  close(): Promise<void>;
}

/** How long requests under way may take when the server stops. */
const closeGraceMs = 5000;

/**
 * Starts a control plane; it stops when `signal` aborts or by `close`. What a killed one left is taken up where it was.
 * @throws SkerryError unavailable with the remedy where the data directory or an address is in use or damaged
 */
export async function startServer(options: ServerOptions, signal: AbortSignal): Promise<RunningServer> {
  const { dataDir, version } = options;
  const clock = systemClock;
  const random = systemRandom;
  const nowMs = (): number => clock.nowMs();
  const log = makeJsonLog(options.writeLog ?? ((line) => process.stderr.write(line)), nowMs);
  const startedMs = performance.now();

  // Whatever was opened is closed in reverse order: after a start that fails halfway, and when the server stops.
  const opened = new AsyncDisposableStack();
  try {
    signal.throwIfAborted();
    await ensurePrivateDirectory(dataDir);
    refuseLostKeys(dataDir);
    const sealer = await openSealer(join(dataDir, "sealing.key"));
    const authority = await openAuthority(join(dataDir, "pki"), nowMs);
    const hosts = options.listen.map(({ host }) => host).filter((host) => !isWildcard(host));
    const pair = await authority.serverPair([...options.advertise, ...hosts]);
    const listener = await listen(pair, options.listen);
    opened.defer(() => listener.close(closeGraceMs));
    const url = urlOf(options.advertise[0], listener.addresses);

    const replicated =
      options.store === undefined
        ? undefined
        : await openPostgresStore({ url: options.store, replicaUrl: url, family: authority.fingerprint });
    const store = replicated ?? (await openSqliteStore({ path: join(dataDir, "state.db") }));
    opened.defer(() => store.close());
    const images = await openImageFiles(options.imagesDir ?? join(dataDir, "images"));
    const adminTokenFile = join(dataDir, "admin.token");
    const stopping = new AbortController();
    const provisioner = makeSshProvisioner({
      bundleAgent: options.bundleAgent,
      cacheDir: options.artifactsDir ?? join(dataDir, "agent-artifacts"),
      serverUrl: url,
      zoneId: store.zoneId,
      stopping: stopping.signal,
    });
    const failures = new FailureLimit(clock);
    const firstStart = { file: join(dataDir, "first-start.link"), url };
    const signIn = { firstStart, attempts: new AttemptLimit(clock), hasher: new PasswordHasher(options.passwordCost) };
    const isFirst = !existsSync(adminTokenFile);
    const limits = new RequestLimits(clock, options.limits);
    const metrics = new ServerMetrics(store, () => replicated?.surelyLeads !== false);
    const parts = { store, authority, sealer, images, provisioner, adminTokenFile, failures, limits, metrics };
    const foundation = {
      ...parts,
      ...signIn,
      clock,
      random,
      log,
      version,
      surelyLeads: () => replicated?.surelyLeads !== false,
    };
    const lost = Promise.withResolvers<SkerryError>();
    const roles =
      replicated === undefined
        ? await leadAlways(foundation, listener)
        : await followRoles({ foundation, store: replicated, listener, lost: lost.resolve });
    // New connections end first, then streams and links, so that requests under way are all that is waited for.
    opened.defer(async () => {
      const closed = listener.close(closeGraceMs);
      stopping.abort(new SkerryError("unavailable", "The server stops."));
      await roles.close();
      await closed;
    });
    if (options.bundleAgent !== undefined) opened.defer(prepareAhead(store, provisioner.prepare, log));
    log.info({ url, version, elapsedMs: Math.round(performance.now() - startedMs) }, "the control plane serves");
    // Before the first request waits for it, and after whoever waits for the start.
    loadPolicyEngine();
    setImmediate(() => void metrics.load());

    const close = closeOnce(opened, log, signal);
    const { certificateFile: caFile } = authority;
    const hasAdminTokenFile = existsSync(adminTokenFile);
    const firstStartLink = await readPrivateFile(firstStart.file);
    return {
      ...{ url, caFile, adminTokenFile, hasAdminTokenFile },
      ...(isFirst && firstStartLink !== undefined ? { firstStartLink: firstStartLink.toString().trim() } : {}),
      ...(firstStartLink === undefined ? {} : { firstStartFile: firstStart.file }),
      lost: lost.promise,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** Closes at the first call or when the signal aborts; every call resolves when it is done. */
function closeOnce(opened: AsyncDisposableStack, log: Log, signal: AbortSignal): () => Promise<void> {
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    signal.removeEventListener("abort", abort);
    closed ??= opened.disposeAsync().then(() => log.info({}, "the control plane has stopped"));
    return closed;
  };
  const abort = (): void => {
    close().catch((error: unknown) => log.error({ error }, "the control plane did not stop cleanly"));
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  return close;
}

/** What clients and agents dial: the first advertised name, else the first address. */
function urlOf(advertised: string | undefined, [first]: readonly ListenAddress[]): string {
  const host = advertised ?? (first === undefined || isWildcard(first.host) ? "127.0.0.1" : first.host);
  return `https://${isIP(host) === 6 ? `[${host}]` : host}:${first?.port ?? 0}`;
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "";
}
