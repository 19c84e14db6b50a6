import { createConnection, type Socket } from "node:net";
import ssh2 from "ssh2";
import * as failure from "./connection-failure.ts";
import { describeHostKey, hostKeyFamilies, type HostKeyAlgorithm, type SeenHostKey } from "./host-key.ts";
import type { HostTarget } from "./host-target.ts";
import { parsePrivateKey } from "./private-key.ts";
import { modernAlgorithms } from "./ssh-algorithms.ts";
import { SshConnection } from "./ssh-connection.ts";

export interface ConnectionTimes {
  readonly connectMs: number;
  /** From TCP to the end of the login, which may wait for the host's name server or directory. */
  readonly loginMs: number;
  /** A link from which nothing came for so long is dead. */
  readonly silenceMs: number;
}

export const defaultConnectionTimes: ConnectionTimes = { connectMs: 10_000, loginMs: 20_000, silenceMs: 10_000 };

/**
 * Connects, and proves the host's key before it says who asks. A host whose key of one family is not the pinned one is
 * asked for those of the other families, since a fingerprint does not tell its family.
 * @throws SkerryError invalid-request, host-unreachable, host-key-unknown, host-key-mismatch, host-authentication-failed,
 *   host-unsupported, host-connection-lost
 */
export async function connectToHost(
  target: HostTarget,
  nodeName: string,
  signal: AbortSignal,
  times: ConnectionTimes = defaultConnectionTimes,
): Promise<SshConnection> {
  const pinned = target.hostKeyFingerprint;
  let first: SeenHostKey | undefined;
  for (const family of [undefined, ...hostKeyFamilies]) {
    const outcome = await handshake(target, family, signal, times);
    if (outcome instanceof SshConnection) return outcome;
    // A family that the host does not have.
    if (outcome === "no-key") continue;
    first ??= outcome;
    if (pinned === undefined) throw failure.hostKeyUnknown(target, first, nodeName);
  }
  if (first === undefined || pinned === undefined) throw failure.noCommonAlgorithm(target, undefined);
  throw failure.hostKeyMismatch(target, first, pinned, nodeName);
}

/** One attempt; gives the host's key where it is not the pinned one, and nothing was sent then. */
async function handshake(
  target: HostTarget,
  family: readonly HostKeyAlgorithm[] | undefined,
  signal: AbortSignal,
  times: ConnectionTimes,
): Promise<SshConnection | SeenHostKey | "no-key"> {
  const privateKey = parsePrivateKey(target.privateKey);
  const socket = await openSocket(target, signal, times.connectMs);
  const client = new ssh2.Client();
  let seen: SeenHostKey | undefined;
  let verified = false;
  let refusal: { readonly offered: readonly string[]; readonly partial: boolean } | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<SshConnection | SeenHostKey | "no-key">();
  const fail = (error: unknown): void => {
    if (seen !== undefined && !verified) resolve(seen);
    else if (refusal !== undefined)
      reject(failure.refusedUser(target, privateKey.type, refusal.offered, refusal.partial, error));
    else if (seen !== undefined) reject(failure.connectionLost(target, error));
    else if (levelOf(error) === "handshake") {
      if (family === undefined) reject(failure.noCommonAlgorithm(target, error));
      else resolve("no-key");
    } else if (levelOf(error) === "client-timeout") reject(failure.unreachable(target, error));
    else if (levelOf(error) === "protocol" && socket.bytesRead > 0) reject(failure.notSsh(target, error));
    else reject(failure.connectionLost(target, error));
  };
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  client.on("error", fail);
  client.on("close", () => fail(undefined));
  client.on("ready", () => resolve(new SshConnection(target, client, socket, times.silenceMs)));
  try {
    client.connect({
      sock: socket,
      username: target.user,
      algorithms: modernAlgorithms(family),
      readyTimeout: times.loginMs,
      keepaliveInterval: Math.ceil(times.silenceMs / 4),
      // The watch over the socket decides: a busy slow link may answer late and is not dead.
      keepaliveCountMax: Number.MAX_SAFE_INTEGER,
      hostVerifier: (blob: Buffer): boolean => {
        seen = describeHostKey(blob);
        verified = seen.fingerprint === target.hostKeyFingerprint;
        return verified;
      },
      authHandler: (methodsLeft, partialSuccess, next) => {
        // Null the first time: nothing was tried yet.
        if (methodsLeft === null) return next({ type: "publickey", username: target.user, key: target.privateKey });
        refusal = { offered: methodsLeft, partial: partialSuccess };
        // The library's types leave out that false ends the attempts.
        return next(false as unknown as "none");
      },
    });
    const outcome = await promise;
    if (!(outcome instanceof SshConnection)) socket.destroy();
    return outcome;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
    client.off("error", fail);
    // A client that is being destroyed may still complain; nobody waits for it.
    client.on("error", () => undefined);
  }
}

async function openSocket(target: HostTarget, signal: AbortSignal, timeoutMs: number): Promise<Socket> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const socket = createConnection({ host: target.address, port: target.port, noDelay: true });
  const abort = (): void => reject(signal.aborted ? signal.reason : failure.unreachable(target, undefined));
  const fail = (error: Error): void => reject(failure.unreachable(target, error));
  limit.addEventListener("abort", abort, { once: true });
  socket.once("connect", resolve);
  socket.once("error", fail);
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    limit.removeEventListener("abort", abort);
    socket.off("error", fail);
  }
}

function levelOf(error: unknown): string {
  return error instanceof Error && "level" in error ? String(error.level) : "";
}
