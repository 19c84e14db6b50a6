import { once } from "node:events";
import type { Socket } from "node:net";
import type { Client, ClientChannel } from "ssh2";
import type { SkerryError } from "@skerry/model";
import * as failure from "./connection-failure.ts";
import type { HostTarget } from "./host-target.ts";
import { remoteCommand } from "./remote-command.ts";

export interface RemoteResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly input?: string | AsyncIterable<Uint8Array>;
  /** Each whole line of the output as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Output kept of one command, characters; a host that says more is cut off, not believed. */
const keptOutput = 256 * 1024;

/**
 * An SSH connection to a host whose key is the pinned one. It notices a dead link by itself; whatever runs then, and
 * whatever is asked later, rejects with host-connection-lost.
 */
export class SshConnection implements AsyncDisposable {
  readonly target: HostTarget;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #lost = new AbortController();

  /** @param silenceMs a link from which nothing came for so long is dead; keepalives see to it that a live one answers */
  constructor(target: HostTarget, client: Client, socket: Socket, silenceMs: number) {
    this.target = target;
    this.#client = client;
    this.#socket = socket;
    // An error always precedes or is a close; what ran learns of it through #lost.
    client.on("error", (error) => this.#lose(error));
    client.on("close", () => this.#lose(undefined));
    watchSilence(socket, silenceMs, () => {
      this.#lose(new Error(`nothing came from the host for ${silenceMs} ms`));
      socket.destroy();
    });
  }

  get isOpen(): boolean {
    return !this.#lost.signal.aborted;
  }

  /**
   * Runs one program to its end. Aborting closes the connection, since SSH has no dependable way to end a program.
   * @throws SkerryError host-connection-lost; a non-zero exit is returned
   */
  async exec(argv: readonly [string, ...string[]], options: ExecOptions, signal: AbortSignal): Promise<RemoteResult> {
    const command = remoteCommand(argv);
    signal.throwIfAborted();
    this.#lost.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<RemoteResult>();
    const abort = (): void => {
      reject(signal.reason);
      this.close();
    };
    const lose = (): void => reject(this.#lost.signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#lost.signal.addEventListener("abort", lose, { once: true });
    try {
      this.#client.exec(command, (error, channel) => {
        if (error !== undefined)
          reject(this.isOpen ? failure.noCommands(this.target, error) : failure.connectionLost(this.target, error));
        else collect(channel, options, resolve, reject, () => failure.connectionLost(this.target, undefined));
      });
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#lost.signal.removeEventListener("abort", lose);
    }
  }

  close(): void {
    this.#lose(undefined);
    // The client alone leaves a socket that is half closed.
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #lose(cause: unknown): void {
    if (this.isOpen) this.#lost.abort(failure.connectionLost(this.target, cause));
  }
}

/** Looks are counted, not time: a process that was stopped for a minute must not take its own pause for the host's. */
const looks = 8;

/** Calls `onSilence` once when no byte came in `looks` looks at the socket, which are `silenceMs` when this process is not held up. */
function watchSilence(socket: Socket, silenceMs: number, onSilence: () => void): void {
  let bytes = socket.bytesRead;
  let quietLooks = 0;
  const timer = setInterval(() => {
    quietLooks = socket.bytesRead === bytes ? quietLooks + 1 : 0;
    bytes = socket.bytesRead;
    if (quietLooks < looks) return;
    clearInterval(timer);
    onSilence();
  }, silenceMs / looks);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}

/** Feeds the channel and gathers what it says until it closes. */
function collect(
  channel: ClientChannel,
  options: ExecOptions,
  resolve: (result: RemoteResult) => void,
  reject: (error: unknown) => void,
  lost: () => SkerryError,
): void {
  let stdout = "";
  let stderr = "";
  let line = "";
  let exitCode: number | undefined;
  channel.setEncoding("utf8").on("data", (text: string) => {
    if (stdout.length < keptOutput) stdout = (stdout + text).slice(0, keptOutput);
    if (options.onLine === undefined) return;
    const lines = (line + text).split("\n");
    line = (lines.pop() ?? "").slice(-keptOutput);
    for (const whole of lines) options.onLine(whole);
  });
  // The end of what went wrong tells most.
  channel.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-keptOutput);
  });
  channel.on("exit", (code: number | null) => {
    // Killed by a signal: as a shell would say it, 128 and more.
    exitCode = code ?? 128;
  });
  channel.on("error", reject);
  // Without an exit status the connection ended, not the program.
  channel.on("close", () => (exitCode === undefined ? reject(lost()) : resolve({ exitCode, stdout, stderr })));
  feed(channel, options.input).catch(reject);
}

/** Writes the input as fast as the far side takes it; stops early where the program ended without reading it all. */
async function feed(channel: ClientChannel, input: ExecOptions["input"]): Promise<void> {
  if (input === undefined || typeof input === "string") {
    channel.end(input ?? "");
    return;
  }
  const over = new AbortController();
  channel.once("close", () => over.abort());
  channel.once("exit", () => over.abort());
  try {
    for await (const chunk of input) {
      over.signal.throwIfAborted();
      if (!channel.write(chunk)) await once(channel, "drain", { signal: over.signal });
    }
  } catch (error) {
    if (!over.signal.aborted) throw error;
  }
  channel.end();
}
