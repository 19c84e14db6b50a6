import type { Readable } from "node:stream";
import { SkerryError } from "@skerry/model";
import {
  JoinRequest,
  JoinResponse,
  imagePath,
  joinPath,
  linkPath,
  maxMessageBytes,
  parseJoinToken,
  streamPath,
} from "@skerry/protocol";
import type { OpenRoute } from "../api/route.ts";
import { requireUpgrade, webSocketDoor } from "../api/upgrade.ts";
import { bearerToken } from "../authorisation/authentication.ts";
import { peerOf } from "../api/audit-note.ts";
import { addressSource, type FailureLimit } from "../authorisation/failure-limit.ts";
import type { ImageFiles } from "../images/image-files.ts";
import type { AgentLinks } from "./agent-links.ts";
import type { AgentStreams } from "./agent-streams.ts";
import type { GatewayDelegate } from "./gateway.ts";
import { join, type JoinDeps } from "./join.ts";

const maxJoinBytes = 16 * 1024;
const maxChunkBytes = 1024 * 1024;

export interface AgentRoutesDeps extends JoinDeps {
  readonly links: AgentLinks;
  readonly streams: AgentStreams;
  readonly images: ImageFiles;
  readonly delegate: Pick<GatewayDelegate, "wantedStateOf">;
  readonly failures: FailureLimit;
}

/** Where agents join and dial; each of these proves its caller by itself. */
export function agentRoutes(deps: AgentRoutesDeps): OpenRoute[] {
  return [joinRoute(deps), linkRoute(deps), streamRoute(deps), imageRoute(deps)];
}

function joinRoute(deps: AgentRoutesDeps): OpenRoute {
  return {
    method: "POST",
    path: joinPath,
    operationId: "joinAgent",
    summary: "Enrols an agent's key by a join token.",
    tag: "Agents",
    access: "public",
    maxBodyBytes: maxJoinBytes,
    body: { contentType: "application/json", schema: JoinRequest },
    replies: { 200: { description: "Who the node is, and its certificate.", schema: JoinResponse } },
    handle: async ({ body, request }) => {
      try {
        return { status: 200, body: await join(deps, body, peerOf(request)) };
      } catch (error) {
        if (!(error instanceof SkerryError)) throw error;
        throw deps.failures.weigh(error, [addressSource(request.ip), triedToken(body)]);
      }
    },
  };
}

/** The id of the token that a request to join brings, as far as it is one. */
function triedToken(body: unknown): string | undefined {
  const token = typeof body === "object" && body !== null && "token" in body ? body.token : undefined;
  return typeof token === "string" ? parseJoinToken(token)?.id : undefined;
}

function linkRoute({ links }: AgentRoutesDeps): OpenRoute {
  const door = webSocketDoor(maxMessageBytes);
  return {
    method: "GET",
    path: linkPath,
    operationId: "openAgentLink",
    summary: "An agent's link, a WebSocket: the agent signs the server's challenge with its node's key.",
    tag: "Agents",
    access: "public",
    replies: { 101: { description: "Switched to WebSocket." } },
    handle: async ({ request, reply }) => {
      requireUpgrade(request.raw);
      links.checkRoom();
      const webSocket = await door.accept(request.raw, reply.raw);
      reply.hijack();
      links.accept(webSocket);
      return undefined;
    },
  };
}

function streamRoute({ links, streams }: AgentRoutesDeps): OpenRoute {
  const door = webSocketDoor(maxChunkBytes);
  return {
    method: "GET",
    path: `${streamPath}{id}`,
    operationId: "openAgentStream",
    summary: "An agent's answer to open-stream, a WebSocket of bytes; authenticated by its link's session token.",
    tag: "Agents",
    access: "public",
    replies: { 101: { description: "Switched to WebSocket." } },
    handle: async ({ headers, params, request, reply }) => {
      const nodeId = nodeOf(links, headers.authorization);
      const { id = "" } = params;
      if (!streams.expects(id, nodeId)) throw new SkerryError("not-found", "No such stream is expected of this node.");
      const webSocket = await door.accept(request.raw, reply.raw);
      reply.hijack();
      streams.arrive(id, nodeId, webSocket);
      return undefined;
    },
  };
}

function imageRoute({ links, images, delegate }: AgentRoutesDeps): OpenRoute {
  return {
    method: "GET",
    path: `${imagePath}{digest}`,
    operationId: "getAgentImage",
    summary: "An image's content, or the rest of it (Range), for a node that is to fill a volume from it.",
    tag: "Agents",
    access: "public",
    replies: {
      200: { description: "The content.", contentType: "application/octet-stream" },
      206: { description: "A part of it.", contentType: "application/octet-stream" },
    },
    handle: async ({ headers, params, reply }) => {
      const nodeId = nodeOf(links, headers.authorization);
      const { digest = "" } = params;
      const needed = delegate
        .wantedStateOf(nodeId)
        ?.volumes.some(
          ({ presence, origin }) => presence === "present" && origin.kind === "image" && origin.digest === digest,
        );
      const sizeBytes = needed === true ? await images.sizeOf(digest) : undefined;
      if (sizeBytes === undefined)
        throw new SkerryError("not-found", "This node needs no such image, or its content is not here.");
      const range = readRange(headers.range, sizeBytes);
      const { start, end } = range ?? { start: 0, end: sizeBytes - 1 };
      const content: Readable = images.read(digest, start, end);
      await reply
        .code(range === undefined ? 200 : 206)
        .headers({
          "content-type": "application/octet-stream",
          "content-length": String(end - start + 1),
          "accept-ranges": "bytes",
          ...(range === undefined ? {} : { "content-range": `bytes ${start}-${end}/${sizeBytes}` }),
        })
        .send(content);
      return undefined;
    },
  };
}

/** @throws SkerryError unauthenticated where the token is not that of a living link */
function nodeOf(links: AgentLinks, authorization: string | undefined): string {
  const nodeId = links.nodeOfSession(bearerToken(authorization));
  if (nodeId !== undefined) return nodeId;
  throw new SkerryError("unauthenticated", "The session token is not that of a node's link.", {
    remedy: "Link again.",
  });
}

/** One range of bytes, both ends included; undefined where none is asked for. */
function readRange(
  header: string | undefined,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | undefined {
  if (header === undefined) return undefined;
  const [, from, to] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header) ?? [];
  const start = Number(from);
  const end = to === undefined || to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (from !== undefined && start <= end) return { start, end };
  throw new SkerryError("invalid-request", `The content has ${sizeBytes} bytes, and the range is not one of them.`);
}
