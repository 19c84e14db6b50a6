import { Type, type Static } from "typebox";
import { Id, Name, Labels, oneOf, optional, parserOf, strict } from "@skerry/model";
import { ObservedState } from "./observed.ts";
import { WantedState } from "./wanted.ts";
import { WantedChange } from "./wanted-change.ts";

/** Raised with each change of the messages; a server talks to agents of its own version and the one before. */
export const protocolVersion = 3;

/** The first version whose agents take changes of a wanted state. */
export const changeVersion = 3;

/** The first version whose servers take reports that tell of a host's devices. */
export const deviceVersion = 3;

/** Where an agent joins and dials, below the server's URL. */
export const joinPath = "/agent/v1/join";
export const linkPath = "/agent/v1/link";
/** + the stream's id; an agent's answer to `open-stream`, authenticated by its session token. */
export const streamPath = "/agent/v1/streams/";
/** + the image's digest; GET with Range, authenticated by the session token (`Authorization: Bearer`). */
export const imagePath = "/agent/v1/images/";

/** What an agent signs to prove its key: this prefix, the server's nonce and its node id, joined by newlines. */
export const helloContext = "skerry-agent-hello-v1";
export const joinContext = "skerry-agent-join-v1";

export function helloPayload(nonce: string, nodeId: string): Uint8Array {
  return new TextEncoder().encode(`${helloContext}\n${nonce}\n${nodeId}`);
}

/** Signed with the new key at join, so that nobody can enrol a key that they don't hold. */
export function joinPayload(token: string, publicKey: string): Uint8Array {
  return new TextEncoder().encode(`${joinContext}\n${token}\n${publicKey}`);
}

export const JoinRequest = strict({
  protocolVersion: Type.Integer(),
  token: Type.String({ maxLength: 500 }),
  /** Ed25519, SPKI DER, base64. */
  publicKey: Type.String({ maxLength: 200 }),
  /** Base64 Ed25519 signature of `joinPayload`. */
  signature: Type.String({ maxLength: 200 }),
  hostname: Name,
});
export type JoinRequest = Static<typeof JoinRequest>;

export const JoinResponse = strict({
  nodeId: Id,
  nodeName: Name,
  /** PEM; issued for the agent's own key, for the data plane. */
  certificate: Type.String(),
  /** PEM; the zone's own authority. */
  authority: Type.String(),
  labels: optional(Labels),
});
export type JoinResponse = Static<typeof JoinResponse>;

/** What a byte stream through the control plane is connected to on the node. */
export const StreamTarget = Type.Union([
  strict({ kind: oneOf(["console"] as const), instanceId: Id }),
  /** The serial line's log so far; `follow` keeps it open. */
  strict({ kind: oneOf(["console-log"] as const), instanceId: Id, follow: Type.Boolean() }),
  /** A TCP port of the guest, on its address in one of its networks. */
  strict({ kind: oneOf(["port"] as const), instanceId: Id, port: Type.Integer({ minimum: 1, maximum: 65_535 }) }),
]);
export type StreamTarget = Static<typeof StreamTarget>;

/** Numbers the beats of one run of an agent. */
const Beat = Type.Integer({ minimum: 1 });

export const ServerMessage = Type.Union([
  strict({ type: oneOf(["challenge"] as const), nonce: Type.String(), protocolVersion: Type.Integer() }),
  strict({
    type: oneOf(["welcome"] as const),
    sessionToken: Type.String(),
    heartbeatMs: Type.Integer({ minimum: 100 }),
  }),
  /** The link is refused for good (unknown node, wrong key, versions too far apart); the agent backs off long. */
  strict({ type: oneOf(["refused"] as const), code: Type.String(), detail: Type.String() }),
  strict({ type: oneOf(["wanted"] as const), state: WantedState }),
  /** Of what this link was last sent as wanted; only to agents that take it. */
  strict({ type: oneOf(["wanted-change"] as const), change: WantedChange }),
  strict({
    type: oneOf(["open-stream"] as const),
    streamId: Type.String({ pattern: "^[A-Za-z0-9_-]{16,64}$" }),
    target: StreamTarget,
  }),
  strict({ type: oneOf(["ping"] as const) }),
  /** Answers a beat: what the node is told to run by its wanted state of that revision, or a newer one, was its own to run. */
  strict({ type: oneOf(["granted"] as const), beat: Beat, wantedRevision: Type.Integer({ minimum: 0 }) }),
]);
export type ServerMessage = Static<typeof ServerMessage>;

export const AgentMessage = Type.Union([
  strict({
    type: oneOf(["hello"] as const),
    nodeId: Id,
    protocolVersion: Type.Integer(),
    agentVersion: Type.String({ maxLength: 40 }),
    /** Base64 Ed25519 signature of `helloPayload`. */
    signature: Type.String({ maxLength: 200 }),
    /** The last wanted revision in its journal. */
    wantedRevision: Type.Integer({ minimum: 0 }),
  }),
  strict({ type: oneOf(["observed"] as const), state: ObservedState }),
  /** A stream could not be opened on the node. */
  strict({ type: oneOf(["stream-failed"] as const), streamId: Type.String(), detail: Type.String() }),
  strict({ type: oneOf(["pong"] as const) }),
  /** Asks for a lease, counted from when this was sent. */
  strict({ type: oneOf(["beat"] as const), beat: Beat }),
]);
export type AgentMessage = Static<typeof AgentMessage>;

/** Largest message either side accepts, bytes. */
export const maxMessageBytes = 8 * 1024 * 1024;

const parseServer = parserOf(ServerMessage, "message of the server");
const parseAgent = parserOf(AgentMessage, "message of the agent");

/** @throws SkerryError `invalid-request` on anything that is not exactly such a message */
export function decodeServerMessage(text: string): ServerMessage {
  return parseServer(parseJson(text));
}

/** @throws SkerryError `invalid-request` on anything that is not exactly such a message */
export function decodeAgentMessage(text: string): AgentMessage {
  return parseAgent(parseJson(text));
}

export function encodeMessage(message: ServerMessage | AgentMessage): string {
  return JSON.stringify(message);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is just one way of not being a message; the parser's error says it.
    return undefined;
  }
}
