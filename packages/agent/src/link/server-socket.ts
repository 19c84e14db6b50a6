import { WebSocket } from "ws";
import { maxMessageBytes } from "@skerry/protocol";

/** Longest wait for TCP, TLS and the upgrade. */
const handshakeMs = 15_000;

/** A WebSocket to the server, which is verified by the zone's own authority and its host name. */
export function openServerSocket(
  server: string,
  path: string,
  authority: string,
  headers: Readonly<Record<string, string>> = {},
): WebSocket {
  const url = new URL(path, server);
  url.protocol = "wss:";
  return new WebSocket(url, {
    ca: [authority],
    headers,
    handshakeTimeout: handshakeMs,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    followRedirects: false,
  });
}
