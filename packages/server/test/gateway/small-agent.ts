import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { request, type RequestOptions } from "node:https";
import { WebSocket, createWebSocketStream } from "ws";
import {
  type JoinRequest,
  JoinResponse,
  decodeServerMessage,
  encodeMessage,
  helloPayload,
  imagePath,
  joinPath,
  joinPayload,
  linkPath,
  protocolVersion,
  streamPath,
  type AgentMessage,
  type ObservedState,
  type ServerMessage,
} from "@skerry/protocol";
import { parserOf } from "@skerry/model";
import type { Duplex } from "node:stream";

/** Where a server is and whom to trust there. */
export interface ServerAccess {
  readonly port: number;
  readonly authority: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One HTTPS request over real TLS. */
export async function ask(
  access: ServerAccess,
  path: string,
  options: RequestOptions = {},
  body?: string,
): Promise<HttpAnswer> {
  const call = request({ host: "127.0.0.1", port: access.port, ca: access.authority, path, agent: false, ...options });
  call.end(body);
  const [response] = (await once(call, "response")) as [import("node:http").IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

/** A node's key, as an agent keeps it. */
export interface AgentKey {
  readonly privateKey: KeyObject;
  /** SPKI DER, base64. */
  readonly publicKey: string;
}

export function makeAgentKey(): AgentKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, publicKey: publicKey.export({ format: "der", type: "spki" }).toString("base64") };
}

const parseJoinResponse = parserOf(JoinResponse, "join response");

/** What an agent asks a join with. */
export function joinRequest(token: string, key: AgentKey, hostname: string, signer: AgentKey = key): JoinRequest {
  const signature = sign(null, joinPayload(token, key.publicKey), signer.privateKey).toString("base64");
  return { protocolVersion, token, publicKey: key.publicKey, signature, hostname };
}

/** Asks to join; the answer as it came. */
export function askToJoin(
  access: ServerAccess,
  token: string,
  key: AgentKey,
  hostname: string,
  signer: AgentKey = key,
): Promise<HttpAnswer> {
  const body = JSON.stringify(joinRequest(token, key, hostname, signer));
  return ask(access, joinPath, { method: "POST", headers: { "content-type": "application/json" } }, body);
}

export async function joinAs(
  access: ServerAccess,
  token: string,
  key: AgentKey,
  hostname: string,
): Promise<JoinResponse> {
  const answer = await askToJoin(access, token, key, hostname);
  if (answer.status !== 200) throw new Error(`join answered ${answer.status}: ${answer.body.toString()}`);
  return parseJoinResponse(JSON.parse(answer.body.toString()));
}

/** The agent's end of a link: what it was sent, in order, and how to answer. */
export class SmallAgent {
  readonly webSocket: WebSocket;
  readonly #access: ServerAccess;
  readonly #received: ServerMessage[] = [];
  #wake = (): void => undefined;
  #nonce: Promise<string> | undefined;
  sessionToken = "";

  constructor(access: ServerAccess) {
    this.#access = access;
    this.webSocket = new WebSocket(`wss://127.0.0.1:${access.port}${linkPath}`, {
      ca: access.authority,
      perMessageDeflate: false,
    });
    this.webSocket.on("message", (data) => {
      this.#received.push(decodeServerMessage((data as Buffer).toString("utf8")));
      this.#wake();
    });
    this.webSocket.on("close", () => this.#wake());
    this.webSocket.on("error", () => this.#wake());
  }

  /** The next message of a type; others before it are dropped. */
  async next<T extends ServerMessage["type"]>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    for (;;) {
      for (let message = this.#received.shift(); message !== undefined; message = this.#received.shift()) {
        if (message.type === type) return message as Extract<ServerMessage, { type: T }>;
      }
      if (this.webSocket.readyState >= WebSocket.CLOSING) throw new Error(`the link closed before a ${type} came`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The next message, whatever it is. */
  async any(): Promise<ServerMessage> {
    for (;;) {
      const message = this.#received.shift();
      if (message !== undefined) return message;
      if (this.webSocket.readyState >= WebSocket.CLOSING) throw new Error("the link closed");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Resolves once the server has sent its challenge. */
  challenged(): Promise<string> {
    this.#nonce ??= this.next("challenge").then(({ nonce }) => nonce);
    return this.#nonce;
  }

  /** Proves the key; resolves once welcomed. */
  async hello(
    nodeId: string,
    key: AgentKey,
    changes: Partial<Extract<AgentMessage, { type: "hello" }>> = {},
  ): Promise<void> {
    const nonce = await this.challenged();
    const signature = sign(null, helloPayload(nonce, nodeId), key.privateKey).toString("base64");
    this.send({
      type: "hello",
      nodeId,
      protocolVersion,
      agentVersion: "0.0.0-test",
      signature,
      wantedRevision: 0,
      ...changes,
    });
    this.sessionToken = (await this.next("welcome")).sessionToken;
  }

  send(message: AgentMessage): void {
    this.webSocket.send(encodeMessage(message));
  }

  /** Dials back for a stream. */
  async dial(streamId: string, sessionToken = this.sessionToken): Promise<Duplex> {
    const webSocket = new WebSocket(`wss://127.0.0.1:${this.#access.port}${streamPath}${streamId}`, {
      ca: this.#access.authority,
      headers: { authorization: `Bearer ${sessionToken}` },
    });
    await once(webSocket, "open");
    const stream = createWebSocketStream(webSocket);
    stream.on("error", () => undefined);
    return stream;
  }

  fetchImage(digest: string, range?: string): Promise<HttpAnswer> {
    const headers = { authorization: `Bearer ${this.sessionToken}`, ...(range === undefined ? {} : { range }) };
    return ask(this.#access, `${imagePath}${digest}`, { headers });
  }

  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    if (this.webSocket.readyState === WebSocket.CLOSED) throw new Error("closed before it was waited for");
    const [code, reason] = (await once(this.webSocket, "close")) as [number, Buffer];
    return { code, reason: reason.toString() };
  }
}

/** A report of a node that runs nothing. */
export function idleReport(wantedRevision: number, hostname = "n1"): ObservedState {
  return {
    wantedRevision,
    facts: {
      hostname,
      operatingSystem: "Debian 12",
      kernel: "6.1",
      architecture: "x86_64",
      driver: "simulated",
      accelerator: "simulated",
      agentVersion: "0.0.0-test",
      capacity: { vcpus: 4, memoryMiB: 4096, diskMiB: 10_000 },
      versions: {},
    },
    networks: [],
    volumes: [],
    instances: [],
  };
}
