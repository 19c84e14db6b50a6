import type { Duplex } from "node:stream";
import { SkerryError, oneOf, optional, strict, type InstanceResource } from "@skerry/model";
import type { StreamTarget } from "@skerry/protocol";
import { createWebSocketStream } from "ws";
import { principalKey } from "../limits/request-limits.ts";
import type { ApiDeps } from "./deps.ts";
import { joinStreams } from "./duplex-pair.ts";
import { keyOf } from "./resource-routes.ts";
import type { Call, GuardedRoute, Params } from "./route.ts";
import { requireUpgrade, webSocketDoor, type WebSocketDoor } from "./upgrade.ts";
import { notFound } from "../authorisation/authorise.ts";

const maxChunkBytes = 1024 * 1024;
/** Closes a stream that the node could not open; the reason is `code: detail`. */
const refusedCode = 4000;
const maxReasonBytes = 123;

const LogQuery = strict({ follow: optional(oneOf(["true", "false"] as const, "true: stay and print what comes")) });

interface StreamKind {
  readonly suffix: string;
  readonly operationId: string;
  readonly summary: string;
  readonly verb: "read" | "connect";
  readonly query?: typeof LogQuery;
  readonly target: (call: Call, instance: InstanceResource) => StreamTarget;
}

const streamKinds: readonly StreamKind[] = [
  {
    suffix: "console",
    operationId: "openInstanceConsole",
    summary: "The guest's serial console, both ways, as binary WebSocket messages.",
    verb: "connect",
    target: (_call, { metadata }) => ({ kind: "console", instanceId: metadata.id }),
  },
  {
    suffix: "console-log",
    operationId: "openInstanceConsoleLog",
    summary: "What the guest's serial console has printed, as binary WebSocket messages.",
    verb: "read",
    query: LogQuery,
    target: (call, { metadata }) => ({
      kind: "console-log",
      instanceId: metadata.id,
      follow: call.query.follow === "true",
    }),
  },
  {
    suffix: "ports/{port}",
    operationId: "openInstancePort",
    summary: "A TCP port of the guest, both ways, as binary WebSocket messages.",
    verb: "connect",
    target: (call, { metadata }) => ({ kind: "port", instanceId: metadata.id, port: readPort(call.params) }),
  },
];

/**
 * Byte streams from a client through the control plane and the node's agent into a guest. An open one
 * begins with an empty message.
 */
export function streamRoutes(deps: ApiDeps): GuardedRoute[] {
  const door = webSocketDoor(maxChunkBytes);
  return streamKinds.map((kind) => ({
    method: "GET",
    path: `/api/v1/projects/{project}/instances/{name}/${kind.suffix}`,
    operationId: kind.operationId,
    summary: kind.summary,
    tag: "Instance",
    access: { verb: kind.verb, kind: "Instance", place: (params) => ({ project: params.project }) },
    ...(kind.query === undefined ? {} : { query: kind.query }),
    replies: { 101: { description: "Switched to WebSocket." } },
    handle: async (call) => {
      using _place = deps.limits.streams.enter(principalKey(call.principal));
      await serve(deps, door, call, kind);
      return undefined;
    },
  }));
}

async function serve(deps: ApiDeps, door: WebSocketDoor, call: Call, kind: StreamKind): Promise<void> {
  const key = keyOf("Instance", call.params);
  const instance = deps.store.get("Instance", key);
  if (instance === undefined) throw notFound("Instance", key);
  const target = kind.target(call, instance);
  const nodeId = instance.assignment?.nodeId;
  if (nodeId === undefined) {
    throw new SkerryError("conflict", `The instance ${key.name} is on no node yet.`, {
      remedy: "Wait until it has been placed and started.",
    });
  }
  // Last of the checks: asked by plain HTTP, the route tells what else is wrong.
  requireUpgrade(call.request.raw);
  using held = deps.tokens.hold(call.principal);
  const gone = new AbortController();
  const signal = AbortSignal.any([held.signal, deps.stopping, gone.signal]);
  call.request.raw.socket.once("close", () => gone.abort());
  // The node answers before the client is told anything, so that an open stream is one that works.
  const node = await openAtNode(deps, nodeId, target, signal);
  const webSocket = await door.accept(call.request.raw, call.reply.raw).catch((error: unknown) => {
    if (!(node instanceof SkerryError)) node.destroy();
    throw error;
  });
  call.reply.hijack();
  if (node instanceof SkerryError) {
    webSocket.close(refusedCode, closeReason(node));
    return;
  }
  webSocket.send(new Uint8Array(0));
  await joinStreams(createWebSocketStream(webSocket), node, signal);
}

/** What keeps the node from opening it is told by closing: browsers hide the body of a refused handshake. */
async function openAtNode(
  { gateway, log }: ApiDeps,
  nodeId: string,
  target: StreamTarget,
  signal: AbortSignal,
): Promise<Duplex | SkerryError> {
  try {
    return await gateway.openStream(nodeId, target, signal);
  } catch (error) {
    if (error instanceof SkerryError) return error;
    log.error({ error, nodeId, target: target.kind }, "a stream to a node broke");
    return new SkerryError("internal", "An unexpected error; the server's log has it.");
  }
}

/** `code: detail`, as long as a WebSocket's close frame may carry. */
function closeReason({ code, message }: SkerryError): string {
  const bytes = Buffer.from(`${code}: ${message}`);
  // Cut between characters: half of one would not be UTF-8.
  let end = Math.min(bytes.length, maxReasonBytes);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}

function readPort(params: Params): number {
  const port = Number(params.port);
  if (/^\d{1,5}$/.test(params.port ?? "") && port >= 1 && port <= 65_535) return port;
  throw new SkerryError("invalid-request", "The port is not a number from 1 to 65535.");
}
