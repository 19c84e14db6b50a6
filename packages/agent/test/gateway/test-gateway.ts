import { createPublicKey, randomBytes, verify } from "node:crypto";
import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { WebSocketServer, createWebSocketStream } from "ws";
import type { WebSocket } from "ws";
import { SkerryError, parserOf, toProblem } from "@skerry/model";
import {
  JoinRequest,
  decodeAgentMessage,
  encodeMessage,
  formatJoinToken,
  helloPayload,
  imagePath,
  joinPath,
  joinPayload,
  linkPath,
  changeVersion,
  protocolVersion,
  streamPath,
} from "@skerry/protocol";
import type { ObservedState, ServerMessage, StreamTarget, WantedChange, WantedState } from "@skerry/protocol";
import { newId } from "../contract/ids.ts";
import { makeZoneAuthority } from "./zone-authority.ts";
import type { ZoneAuthority } from "./zone-authority.ts";

const parseJoin = parserOf(JoinRequest, "join");

interface KnownNode {
  readonly publicKey: string;
  readonly token: string;
  wanted?: WantedState;
  /** What its link was sent last. */
  sent?: WantedState;
  observed?: ObservedState;
  socket?: WebSocket;
  sessionToken?: string;
  /** Times that it was welcomed. */
  links: number;
  /** The version that it last greeted with, and how often it has asked for leases. */
  spoken?: number;
  beats?: number;
}

function changeOf(before: WantedState, now: WantedState): WantedChange {
  const changed = <T extends { readonly id: string }>(old: readonly T[], all: readonly T[]): T[] =>
    all.filter(
      (one) =>
        !isDeepStrictEqual(
          one,
          old.find(({ id }) => id === one.id),
        ),
    );
  const { node, peers, networks } = now;
  const left = new Set([...now.volumes, ...now.instances].map(({ id }) => id));
  return {
    since: before.revision,
    revision: now.revision,
    surroundings: { node, peers, networks },
    volumes: changed(before.volumes, now.volumes),
    instances: changed(before.instances, now.instances),
    unmentioned: [...before.volumes, ...before.instances].map(({ id }) => id).filter((id) => !left.has(id)),
  };
}

/** The server's side of the protocol, as little as agents need: for tests of the agent without a server. */
export class TestGateway {
  readonly authority: ZoneAuthority;
  readonly images = new Map<string, Buffer>();
  /** Offsets that images were asked for from. */
  readonly imageOffsets: number[] = [];
  readonly nodes = new Map<string, KnownNode>();
  /** Set to refuse every node's hello. */
  refuses: string | undefined;
  /** Of the protocol, as it says to agents. */
  version = protocolVersion;
  /** Whether beats are answered. */
  grants = true;
  refusals = 0;
  /** HTTP requests that came. */
  requests = 0;
  /** Digests of images that never end. */
  readonly stalled = new Set<string>();
  /** Cuts image bodies after so many bytes, once each. */
  readonly cuts: number[] = [];
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #streams = new Map<string, (stream: Duplex | Error) => void>();
  readonly #tokens = new Map<string, string | undefined>();
  #port = 0;

  private constructor(authority: ZoneAuthority, pair: { readonly key: string; readonly certificate: string }) {
    this.authority = authority;
    this.#server = createServer({ key: pair.key, cert: pair.certificate }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        const problem = toProblem(error);
        response.writeHead(problem.status).end(JSON.stringify(problem));
      });
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#upgraded(request, webSocket));
    });
  }

  static async open(): Promise<TestGateway> {
    const authority = await makeZoneAuthority();
    const gateway = new TestGateway(authority, await authority.serverPair());
    await gateway.listen();
    return gateway;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Listens again on the port that it had. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address !== null && typeof address !== "string") this.#port = address.port;
  }

  /** Goes away as a killed server does; nodes and wishes are kept for the next `listen`. */
  async vanish(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  joinToken(): string {
    const token = formatJoinToken({
      id: newId("jtk"),
      secret: randomBytes(32).toString("base64url"),
      authorityFingerprint: this.authority.fingerprint,
    });
    this.#tokens.set(token, undefined);
    return token;
  }

  node(nodeId: string): KnownNode {
    const node = this.nodes.get(nodeId);
    if (node === undefined) throw new Error(`node ${nodeId} has not joined`);
    return node;
  }

  want(nodeId: string, wanted: WantedState): void {
    const node = this.node(nodeId);
    node.wanted = wanted;
    const { sent } = node;
    if (sent === undefined || this.version < changeVersion) this.#send(node, { type: "wanted", state: wanted });
    else this.#send(node, { type: "wanted-change", change: changeOf(sent, wanted) });
    node.sent = wanted;
  }

  /** As a server that has lost count of what it sent. */
  miscount(nodeId: string): void {
    const { sent } = this.node(nodeId);
    if (sent !== undefined) this.node(nodeId).sent = { ...sent, revision: sent.revision + 1000 };
  }

  /** What it last reported in answer to what it was last sent. */
  answered(nodeId: string): ObservedState | undefined {
    const { observed, wanted } = this.node(nodeId);
    return observed !== undefined && observed.wantedRevision === wanted?.revision ? observed : undefined;
  }

  async stream(nodeId: string, target: StreamTarget): Promise<Duplex> {
    const streamId = randomBytes(18).toString("base64url");
    const { promise, resolve } = Promise.withResolvers<Duplex | Error>();
    this.#streams.set(streamId, resolve);
    this.#send(this.node(nodeId), { type: "open-stream", streamId, target });
    const result = await promise;
    if (result instanceof Error) throw result;
    return result;
  }

  #send(node: KnownNode, message: ServerMessage): void {
    node.socket?.send(encodeMessage(message));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const { url = "" } = request;
    if (request.method === "POST" && url === joinPath) {
      response.end(JSON.stringify(await this.#join(await text(request))));
    } else if (url.startsWith(imagePath))
      this.#sendImage(decodeURIComponent(url.slice(imagePath.length)), request, response);
    else throw new SkerryError("not-found", `no ${url}`);
  }

  async #join(body: string): Promise<object> {
    const { token, publicKey, signature } = parseJoin(JSON.parse(body));
    const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
    if (!verify(null, joinPayload(token, publicKey), key, Buffer.from(signature, "base64")))
      throw new SkerryError("join-refused", "The signature is wrong.");
    if (!this.#tokens.has(token)) throw new SkerryError("join-refused", "The token is not known.");
    const usedBy = this.#tokens.get(token);
    const again = usedBy !== undefined && this.nodes.get(usedBy)?.publicKey === publicKey;
    if (usedBy !== undefined && !again) throw new SkerryError("join-refused", "The token was used.");
    const nodeId = again ? usedBy : newId("nod");
    if (!again) this.nodes.set(nodeId, { publicKey, token, links: 0 });
    this.#tokens.set(token, nodeId);
    return {
      nodeId,
      nodeName: `n${nodeId.slice(-8)}`,
      certificate: await this.authority.issue(publicKey, nodeId),
      authority: this.authority.certificate,
    };
  }

  #sendImage(digest: string, request: IncomingMessage, response: ServerResponse): void {
    const authorised = [...this.nodes.values()].some(
      (node) => request.headers.authorization === `Bearer ${node.sessionToken ?? ""}`,
    );
    const image = this.images.get(digest);
    if (!authorised) throw new SkerryError("unauthenticated", "no session");
    if (image === undefined) throw new SkerryError("not-found", "no such image");
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "bytes=0-")?.[1]);
    this.imageOffsets.push(offset);
    response.writeHead(offset === 0 ? 200 : 206, {
      "content-length": image.length - offset,
      ...(offset === 0 ? {} : { "content-range": `bytes ${offset}-${image.length - 1}/${image.length}` }),
    });
    const cut = this.cuts.shift();
    if (this.stalled.has(digest)) response.write(image.subarray(offset, offset + 1000));
    else if (cut === undefined) response.end(image.subarray(offset));
    else response.write(image.subarray(offset, offset + cut), () => setTimeout(() => response.destroy(), 50));
  }

  #upgraded(request: IncomingMessage, socket: WebSocket): void {
    const { url = "" } = request;
    if (url.startsWith(streamPath)) {
      this.#streams.get(url.slice(streamPath.length))?.(createWebSocketStream(socket));
      return;
    }
    if (url !== linkPath) {
      socket.close();
      return;
    }
    const nonce = randomBytes(16).toString("base64url");
    socket.send(encodeMessage({ type: "challenge", nonce, protocolVersion: this.version }));
    socket.on("message", (data: Buffer) => this.#receive(socket, nonce, data.toString("utf8")));
    socket.on("error", () => undefined);
  }

  #receive(socket: WebSocket, nonce: string, body: string): void {
    const message = decodeAgentMessage(body);
    if (message.type === "hello") {
      const node = this.nodes.get(message.nodeId);
      const key =
        node === undefined
          ? undefined
          : createPublicKey({ key: Buffer.from(node.publicKey, "base64"), format: "der", type: "spki" });
      const proven =
        key !== undefined &&
        verify(null, helloPayload(nonce, message.nodeId), key, Buffer.from(message.signature, "base64"));
      if (node === undefined || !proven || this.refuses !== undefined) {
        this.refusals += 1;
        socket.send(
          encodeMessage({ type: "refused", code: "unauthenticated", detail: this.refuses ?? "no such node" }),
        );
        socket.close();
        return;
      }
      node.spoken = message.protocolVersion;
      node.socket = socket;
      node.links += 1;
      node.sessionToken = randomBytes(24).toString("base64url");
      this.#send(node, { type: "welcome", sessionToken: node.sessionToken, heartbeatMs: 500 });
      delete node.sent;
      if (node.wanted !== undefined) this.want(message.nodeId, node.wanted);
      return;
    }
    const node = [...this.nodes.values()].find((each) => each.socket === socket);
    if (message.type === "observed" && node !== undefined) node.observed = message.state;
    if (message.type === "beat" && node !== undefined) {
      node.beats = (node.beats ?? 0) + 1;
      const wantedRevision = node.wanted?.revision ?? 0;
      if (this.grants) this.#send(node, { type: "granted", beat: message.beat, wantedRevision });
    }
    if (message.type === "stream-failed") this.#streams.get(message.streamId)?.(new Error(message.detail));
  }
}
