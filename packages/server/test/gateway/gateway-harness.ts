import type { ObservedState, WantedChange, WantedState } from "@skerry/protocol";
import { formatJoinToken } from "@skerry/protocol";
import type { JoinTokenResource } from "@skerry/model";
import { listen } from "../../src/api/listener.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { mintSecret } from "../../src/authorisation/secret.ts";
import { makeAgentGateway, type AgentGateway } from "../../src/gateway/agent-gateway.ts";
import type { GatewayDelegate } from "../../src/gateway/gateway.ts";
import type { Authority } from "../../src/pki/authority.ts";
import { systemClock, type Clock } from "../../src/operations/clock.ts";
import { draft, specs, startApi, type ApiHarness } from "../api/api-harness.ts";
import type { ServerAccess } from "./small-agent.ts";

/** A gateway over real TLS and a real store; the delegate is a record of what it was told. */
export interface GatewayHarness extends AsyncDisposable {
  readonly api: ApiHarness;
  readonly gateway: AgentGateway;
  readonly access: ServerAccess;
  readonly authority: Authority;
  readonly delegate: RecordingDelegate;
  /** A join token for site s1, as handed to a host. */
  joinToken(name: string, spec?: Partial<JoinTokenResource["spec"]>, expiresAtMs?: number): Promise<string>;
}

export interface RecordingDelegate extends GatewayDelegate {
  readonly wanted: Map<string, WantedState>;
  /** What has changed since the one before. */
  readonly changes: Map<string, WantedChange>;
  readonly told: string[];
  readonly reports: ObservedState[];
  /** Awaited before a report counts as recorded. */
  holdReports: Promise<void>;
}

export const heartbeatMs = 10_000;

/** @param clock what the gateway waits by */
export async function startGateway(
  clock: Clock = systemClock,
  limits: { readonly maxUnproven?: number } = {},
): Promise<GatewayHarness> {
  let gateway: AgentGateway | undefined;
  let authority: Authority | undefined;
  const delegate: RecordingDelegate = {
    wanted: new Map(),
    changes: new Map(),
    told: [],
    reports: [],
    holdReports: Promise.resolve(),
    publicKeyOf: (nodeId) => api.store.getById("Node", nodeId)?.status.publicKey,
    wantedStateOf: (nodeId) => delegate.wanted.get(nodeId),
    wantedChangeOf: (nodeId) => delegate.changes.get(nodeId),
    connected: async (nodeId) => void delegate.told.push(`connected ${nodeId}`),
    disconnected: async (nodeId) => void delegate.told.push(`disconnected ${nodeId}`),
    grant: (nodeId) => delegate.wanted.get(nodeId)?.revision,
    observed: async (_nodeId, state) => {
      await delegate.holdReports;
      delegate.reports.push(state);
    },
  };
  const api = await startApi((base) => {
    const made = makeAgentGateway({
      ...base,
      authority: (authority = base.authority),
      delegate,
      clock,
      heartbeatMs,
      ...limits,
    });
    gateway = made;
    return { gateway: made, agentRoutes: made.routes };
  });
  if (gateway === undefined || authority === undefined) throw new Error("the API was built without its gateway");
  const made = gateway;
  const zone = authority;
  const listener = await listen(await zone.serverPair([]), [{ host: "127.0.0.1", port: 0 }]);
  listener.serve(servingOf(api.api.app));
  await api.store.transact((tx) => tx.put(draft("Site", { name: "s1" }, specs.Site, {})));
  return {
    api,
    gateway: made,
    authority: zone,
    delegate,
    access: { port: listener.addresses[0]?.port ?? 0, authority: zone.certificate },
    joinToken: async (name, spec = {}, expiresAtMs = Date.now() + 60_000) => {
      const { secret, hash } = mintSecret();
      const status = { secretHash: hash, expiresAt: new Date(expiresAtMs).toISOString() };
      const token = draft("JoinToken", { name }, { site: "s1", ...spec }, status);
      await api.store.transact((tx) => tx.put(token));
      return formatJoinToken({ id: token.metadata.id, secret, authorityFingerprint: zone.fingerprint });
    },
    [Symbol.asyncDispose]: async () => {
      made.close();
      await listener.close(100);
      await api[Symbol.asyncDispose]();
    },
  };
}

export function emptyWanted(nodeId: string, revision: number): WantedState {
  return {
    revision,
    node: { id: nodeId, name: "n1", overlayAddress: "100.64.0.1", overlayPrefixLength: 10 },
    peers: [],
    networks: [],
    volumes: [],
    instances: [],
  };
}
