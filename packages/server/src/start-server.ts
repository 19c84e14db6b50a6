import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { makeId } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";
import { buildApi } from "./api/app.ts";
import { listen, type ListenAddress } from "./api/listener.ts";
import { ensureFirstToken } from "./authorisation/first-token.ts";
import { makeTokenWatch } from "./authorisation/token-watch.ts";
import { makeControllers } from "./controllers/controllers.ts";
import { makeAgentGateway } from "./gateway/agent-gateway.ts";
import { openImageFiles } from "./images/image-files.ts";
import { makeJsonLog } from "./log.ts";
import { systemClock as clock } from "./operations/clock.ts";
import { systemRandom as random } from "./operations/random.ts";
import { openAuthority } from "./pki/authority.ts";
import { makeSshProvisioner } from "./provisioning/ssh-provisioner.ts";
import { openProviderKey } from "./secrets/provider-key.ts";
import { openSealer } from "./secrets/sealer.ts";

export interface ServerOptions {
  /** State, keys, images; made where it is missing, readable by its owner alone. */
  readonly dataDir: string;
  readonly listen: readonly ListenAddress[];
  /** Names and addresses that agents and clients use; new nodes dial the first, or else the first listen address. */
  readonly advertise: readonly string[];
  readonly version: string;
  /** Writes the agent as one file, for provisioning. */
  readonly bundleAgent?: (outFile: string) => Promise<unknown>;
  /** Where log lines go; standard error where absent. */
  readonly writeLog?: (line: string) => void;
}

export interface RunningServer {
  /** https, of the first address. */
  readonly url: string;
  readonly caFile: string;
  readonly adminTokenFile: string;
  /** Ends streams and requests, records what runs, closes the store. */
  close(): Promise<void>;
}

const heartbeatMs = 5000;
const closeGraceMs = 3000;

/** Wires and starts a control plane. Whatever was opened is closed again where a later part fails. */
export async function startServer(options: ServerOptions, signal: AbortSignal): Promise<RunningServer> {
  const { dataDir } = options;
  const log = makeJsonLog(options.writeLog ?? ((line) => process.stderr.write(line)), clock.nowMs);
  const within = (name: string): string => join(dataDir, name);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await using undo = new AsyncDisposableStack();

  const store = await openSqliteStore({ path: within("state.db") });
  undo.defer(() => store.close());
  const authority = await openAuthority(within("pki"), clock.nowMs);
  const sealer = await openSealer(within("sealing.key"));
  const images = await openImageFiles(within("images"));
  await ensureFirstToken(store, within("admin.token"), clock.nowMs());

  const [first = { host: "127.0.0.1", port: 0 }] = options.listen;
  const pair = await authority.serverPair([...options.advertise, ...options.listen.map(({ host }) => host)].filter(isNameable));
  const stopping = new AbortController();
  const makeObjectId = (prefix: string): string => makeId(prefix, clock.nowMs(), randomBytes(10));
  const urlAt = (port: number, host: string): string => `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;

  const controllers = makeControllers({
    store,
    clock,
    random,
    log,
    heartbeatMs,
    provisioner: makeSshProvisioner({
      bundleAgent: options.bundleAgent,
      cacheDir: within("agent-artifacts"),
      serverUrl: urlAt(first.port, options.advertise[0] ?? first.host),
      zoneId: store.zoneId,
    }),
    openKey: (provider) => openProviderKey(sealer, provider),
    authorityFingerprint: authority.fingerprint,
  });
  const { intents, delegate } = controllers;
  const gateway = makeAgentGateway({ store, intents, authority, clock, makeId: makeObjectId, delegate, images, log, heartbeatMs });
  const tokens = makeTokenWatch(store, clock);
  undo.defer(() => tokens.close());
  const { app } = await buildApi({
    store,
    intents,
    gateway,
    agentRoutes: gateway.routes,
    tokens,
    sealer,
    images,
    clock,
    log,
    makeId: makeObjectId,
    freshen: controllers.freshen,
    version: options.version,
    stopping: stopping.signal,
  });
  signal.throwIfAborted();
  const listener = await listen(app, pair, options.listen);
  await controllers.start(gateway);
  log.info({ addresses: listener.addresses, revision: store.revision }, "started");

  undo.defer(async () => {
    stopping.abort(new Error("the server stops"));
    gateway.close();
    await Promise.all([listener.close(closeGraceMs), controllers.stop()]);
    log.info({}, "stopped");
  });
  const owned = undo.move();
  return {
    url: urlAt(listener.addresses[0]?.port ?? first.port, options.advertise[0] ?? first.host),
    caFile: authority.certificateFile,
    adminTokenFile: within("admin.token"),
    close: () => owned.disposeAsync(),
  };
}

/** What a certificate can name: not "all addresses". */
function isNameable(host: string): boolean {
  return host !== "0.0.0.0" && host !== "::";
}
