import type { Duplex } from "node:stream";
import { SkerryError, oneOf, optional, strict, type InstanceResource } from "@skerry/model";
import type { StreamTarget } from "@skerry/protocol";
import { createWebSocketStream } from "ws";
import type { ApiDeps } from "./deps.ts";
import { joinStreams } from "./duplex-pair.ts";
import { keyOf } from "./resource-routes.ts";
import type { Call, GuardedRoute, Params } from "./route.ts";
import { StreamLimit } from "./stream-limit.ts";
import { requireUpgrade, webSocketDoor, type WebSocketDoor } from "./upgrade.ts";
import { notFound } from "./writes.ts";

const maxChunkBytes = 1024 * 1024;

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

/** Byte streams from a client through the control plane and the node's agent into a guest. */
export function streamRoutes(deps: ApiDeps): GuardedRoute[] {
  const door = webSocketDoor(maxChunkBytes);
  const limit = new StreamLimit();
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
      using _place = limit.enter(call.principal);
      await serve(deps, door, call, kind);
      return undefined;
    },
  }));
}

async function serve(deps: ApiDeps, door: WebSocketDoor, call: Call, kind: StreamKind): Promise<void> {
  requireUpgrade(call.request.raw);
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
  using held = deps.tokens.hold(call.principal);
  const gone = new AbortController();
  const signal = AbortSignal.any([held.signal, deps.stopping, gone.signal]);
  call.request.raw.socket.once("close", () => gone.abort());
  // The node answers first, so that what it refuses is still a plain problem to the client.
  const node = await deps.gateway.openStream(nodeId, target, signal);
  let client: Duplex;
  try {
    const webSocket = await door.accept(call.request.raw, call.reply.raw);
    call.reply.hijack();
    client = createWebSocketStream(webSocket);
  } catch (error) {
    node.destroy();
    throw error;
  }
  await joinStreams(client, node, signal);
}

function readPort(params: Params): number {
  const port = Number(params.port);
  if (/^\d{1,5}$/.test(params.port ?? "") && port >= 1 && port <= 65_535) return port;
  throw new SkerryError("invalid-request", "The port is not a number from 1 to 65535.");
}
