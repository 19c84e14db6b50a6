import { Agent, WebSocket, fetch as undiciFetch } from "undici";
import type { CallTrace, Client } from "./client.ts";
import { createClient } from "./create-client.ts";
import { createSignInClient, type SignInClient } from "./sign-in.ts";
import type { Fetch } from "./transport.ts";

export interface NodeClientOptions {
  readonly server: string;
  readonly token: string;
  /** PEM of the control plane's own authority; the system's authorities where absent. */
  readonly authority?: string;
  /** Why this client changes what it changes, for the audit log. */
  readonly reason?: string;
  readonly onCall?: (call: CallTrace) => void;
}

/** A client for Node that trusts the control plane's own authority and nothing else where one is given. */
export function createNodeClient(options: NodeClientOptions): Client {
  const { dispatcher, fetch } = connector(options);
  return createClient({
    server: options.server,
    token: options.token,
    fetch,
    openSocket: (url, token) => new WebSocket(url, { dispatcher, headers: { authorization: `Bearer ${token}` } }),
    reason: options.reason,
    onCall: options.onCall,
  });
}

/** The same for who signs in, or changes how they do. */
export function createNodeSignInClient(options: Omit<NodeClientOptions, "reason">): SignInClient {
  const { server, token, onCall } = options;
  return createSignInClient({ server, token, fetch: connector(options).fetch, onCall });
}

function connector({ authority }: Pick<NodeClientOptions, "authority">): { dispatcher: Agent; fetch: Fetch } {
  const dispatcher = new Agent({
    connect: authority === undefined ? { timeout: 10_000 } : { timeout: 10_000, ca: authority },
    // Event streams are silent between heartbeats; operations may take long to answer.
    bodyTimeout: 0,
    headersTimeout: 60_000,
  });
  return { dispatcher, fetch: (url, init) => undiciFetch(url, { ...init, dispatcher }) };
}
