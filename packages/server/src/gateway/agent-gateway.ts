import type { OpenRoute } from "../api/route.ts";
import type { FailureLimit } from "../authorisation/failure-limit.ts";
import type { ImageFiles } from "../images/image-files.ts";
import type { ServerMetrics } from "../metrics/server-metrics.ts";
import type { Log } from "../operations/log.ts";
import { AgentLinks } from "./agent-links.ts";
import { agentRoutes } from "./agent-routes.ts";
import { AgentStreams, disconnected } from "./agent-streams.ts";
import type { Gateway, GatewayDelegate } from "./gateway.ts";
import type { JoinDeps } from "./join.ts";

export interface AgentGatewayDeps extends JoinDeps {
  readonly delegate: GatewayDelegate;
  readonly images: ImageFiles;
  readonly failures: FailureLimit;
  readonly log: Log;
  readonly metrics: Pick<ServerMetrics, "linked" | "unlinked">;
  /** How often both sides show that they live. */
  readonly heartbeatMs: number;
  /** How many links may be open whose agents have not proved who they are; 256 where absent. */
  readonly maxUnproven?: number;
}

/** The gateway within the server's own process. */
export interface AgentGateway extends Gateway {
  /** To be served beside the API. */
  readonly routes: readonly OpenRoute[];
  /** Ends all links and streams. */
  close(): void;
}

export function makeAgentGateway(deps: AgentGatewayDeps): AgentGateway {
  const streams = new AgentStreams(deps.clock);
  const links = new AgentLinks({
    ...deps,
    streamFailed: (nodeId, streamId, detail) => streams.fail(nodeId, streamId, detail),
    unlinked: (nodeId) => streams.abandon(nodeId),
  });
  return {
    routes: agentRoutes({ ...deps, links, streams }),
    isConnected: (nodeId) => links.get(nodeId) !== undefined,
    push: (nodeId) => links.push(nodeId),
    async openStream(nodeId, target, signal) {
      const link = links.get(nodeId);
      if (link === undefined) throw disconnected();
      return streams.request(link, nodeId, target, signal);
    },
    disconnect(nodeId, reason) {
      links.disconnect(nodeId, reason);
      streams.closeNode(nodeId);
    },
    close() {
      links.closeAll();
      streams.closeAll();
    },
  };
}
