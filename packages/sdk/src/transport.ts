import { Problem, SkerryError, fromProblem, parserOf } from "@skerry/model";
import type { CallTrace } from "./client.ts";

/** The part of WHATWG fetch that is used; a browser's own, or one that trusts a private authority. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
  readonly duplex?: "half";
}

export interface TransportOptions {
  /** `https://host:port`, without a slash at its end. */
  readonly server: string;
  /** Empty for who has none yet. */
  readonly token: string;
  readonly fetch: Fetch;
  /** Why this client changes what it changes: what the audit log says beside each. */
  readonly reason?: string | undefined;
  readonly onCall?: ((call: CallTrace) => void) | undefined;
  /** Where what is sent is nobody else's to know: `onCall` is not told. */
  readonly hidesBodies?: boolean;
  /** Waits; the clock's own where absent. Rejects where the signal aborts. */
  readonly wait?: ((milliseconds: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
  /** Longest that a call waits in all to be let in, where the server says "too many requests, come back in so many seconds"; a minute where absent. */
  readonly mostWaitMs?: number;
}

const usualMostWaitMs = 60_000;

export interface Call {
  readonly method: "GET" | "PUT" | "PATCH" | "DELETE" | "POST";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

const parseProblem = parserOf(Problem, "problem");

/** Authenticated calls whose failures are SkerryErrors: the server's own problem, or `unavailable` where it can't be reached. */
export class Transport {
  readonly server: string;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.server = options.server;
    this.#options = options;
  }

  get token(): string {
    return this.#options.token;
  }

  /** The response's JSON. */
  async json(call: Call): Promise<unknown> {
    const response = await this.send(call);
    try {
      return await response.json();
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      throw unreachable(this.server, error);
    }
  }

  /**
   * Asks by plain HTTP for what is a WebSocket, for the error that a WebSocket hides.
   * @throws SkerryError by which the server refuses it; returns where it would only be refused as no WebSocket
   */
  async whyRefused(call: Call): Promise<void> {
    try {
      await this.send(call);
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code !== "invalid-request") throw error;
    }
  }

  /**
   * A response that was successful. What was refused for now is asked again when the server says, and a little later, so that not all
   * who were refused come back at once.
   * @throws SkerryError for any other
   */
  async send(
    call: Call,
    stream?: { readonly content: ReadableStream<Uint8Array>; readonly sizeBytes: number },
  ): Promise<Response> {
    const path = call.path + queryText(call.query);
    const headers: Record<string, string> = { accept: "application/json" };
    if (this.#options.token !== "") headers["authorization"] = `Bearer ${this.#options.token}`;
    const { reason } = this.#options;
    if (reason !== undefined && call.method !== "GET") headers["x-skerry-reason"] = headerText(reason);
    for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers[name] = value;
    if (call.body !== undefined) headers["content-type"] ??= "application/json";
    if (stream !== undefined) {
      headers["content-type"] = "application/octet-stream";
      headers["content-length"] = String(stream.sizeBytes);
    }
    const { mostWaitMs = usualMostWaitMs } = this.#options;
    let waitedMs = 0;
    for (;;) {
      const response = await this.#once(call, path, headers, stream);
      if (response.ok) return response;
      const retryMs = Math.max(1, Number(response.headers.get("retry-after"))) * 1000 * (1 + Math.random() / 2);
      // What was streamed is gone, and without a time to come back waiting is no use.
      const mayWait = response.status === 429 && stream === undefined && waitedMs + retryMs <= mostWaitMs;
      if (!mayWait || !response.headers.has("retry-after")) throw await errorOf(response);
      await response.body?.cancel();
      await (this.#options.wait ?? pause)(retryMs, call.signal);
      waitedMs += retryMs;
    }
  }

  async #once(
    call: Call,
    path: string,
    headers: Record<string, string>,
    stream: { readonly content: ReadableStream<Uint8Array> } | undefined,
  ): Promise<Response> {
    const startedAt = performance.now();
    let response: Response;
    try {
      response = await this.#options.fetch(this.server + path, {
        method: call.method,
        headers,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(stream === undefined ? {} : { body: stream.content, duplex: "half" as const }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      throw unreachable(this.server, error);
    }
    this.#options.onCall?.({
      method: call.method,
      path,
      body: this.#options.hidesBodies === true ? undefined : call.body,
      status: response.status,
      elapsedMs: performance.now() - startedAt,
    });
    return response;
  }
}

/** Resolves after so long. @throws the signal's reason */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** UTF-8 as a header takes it: a character for each byte. */
function headerText(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

async function errorOf(response: Response): Promise<SkerryError> {
  const text = await response.text();
  try {
    return fromProblem(parseProblem(JSON.parse(text)));
  } catch (error) {
    // Something between us and the server answered: a proxy, or another program on that port.
    return new SkerryError(
      "unavailable",
      `The server answered ${response.status} with something that is not Skerry's.`,
      {
        remedy:
          "Check the address: it must be a Skerry control plane, reached directly or through a proxy that passes its answers on.",
        cause: error,
      },
    );
  }
}

function unreachable(server: string, error: unknown): SkerryError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const words = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new SkerryError("unavailable", `${server} cannot be reached: ${words}.`, {
    remedy: remedyOf(code),
    cause: error,
  });
}

/** @param code of Node's own errors of TLS (docs: tls, "X509 certificate error codes"); empty in a browser */
function remedyOf(code: string): string {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "The server's certificate is not for that name: use one that it was started with (--advertise or --listen).";
  }
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return "Its certificate is not from an authority that is trusted here: copy pki/ca.pem from the server's data directory anew, and name it with --authority.";
  }
  return "Check that the server runs and the address is right; for an own authority give its PEM (--authority).";
}

function queryText(query: Call["query"]): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}
