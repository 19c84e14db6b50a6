import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { SkerryError, type ErrorCode } from "@skerry/model";
import { requireShell } from "../../src/inspection.ts";
import type { HostTarget } from "../../src/host-target.ts";
import { connectToHost } from "../../src/ssh-handshake.ts";
import { makeSshKey } from "../ssh-key.ts";
import { CuttingProxy } from "./sshd/cutting-proxy.ts";
import { SshdHost } from "./sshd/sshd-host.ts";

const times = { connectMs: 2_000, loginMs: 2_000, silenceMs: 800 };
const signal = AbortSignal.timeout(60_000);

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function refusal(target: HostTarget, code: ErrorCode): Promise<SkerryError> {
  try {
    await using connection = await connectToHost(target, "edge-1", signal, times);
    await connection.exec(["true"], {}, signal);
  } catch (error) {
    assert.ok(error instanceof SkerryError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.remedy !== undefined);
    return error;
  }
  throw new Error(`${code} was expected, but it connected`);
}

describe("a connection to a real SSH server", () => {
  let host: SshdHost;
  before(async () => {
    host = await SshdHost.start({ files: { "/home/operator/.bashrc": "echo welcome\n" } });
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
  });

  test("runs programs with words as they are, output, errors and exit status", async () => {
    await using connection = await connectToHost(host.target(), "edge-1", signal, times);
    const result = await connection.exec(
      ["sh", "-c", 'printf "%s|" "$@"; cat; echo oh >&2; exit 7', "x", "it's", "$HOME", ""],
      { input: "in\n" },
      signal,
    );
    assert.deepEqual(result, { exitCode: 7, stdout: "it's|$HOME||in\n", stderr: "oh\n" });
  });

  for (const type of ["ed25519", "ecdsa", "rsa"] as const) {
    test(`accepts the host by the fingerprint of its ${type} key`, async () => {
      await using connection = await connectToHost(
        host.target({ hostKeyFingerprint: host.fingerprints[type] }),
        "edge-1",
        signal,
        times,
      );
      assert.equal((await connection.exec(["true"], {}, signal)).exitCode, 0);
    });
  }

  test("refuses a host without a pinned key, with the fingerprint to compare, and tells it nothing of the user", async () => {
    await using host = await SshdHost.start();
    const { hostKeyFingerprint: _, ...unpinned } = host.target();
    const error = await refusal(unpinned, "host-key-unknown");
    assert.equal(error.facts?.["fingerprint"], host.fingerprints.ed25519);
    assert.match(
      error.remedy ?? "",
      new RegExp(`skerry node provision edge-1 --host-key ${host.fingerprints.ed25519.replaceAll("+", "\\+")}`),
    );
    assert.doesNotMatch(await host.logged(/^(Connection (closed|reset)|Disconnected)/), /root|publickey/);
  });

  test("refuses a host whose key changed, naming both, and tells it nothing of the user", async () => {
    await using host = await SshdHost.start();
    const pinned = `SHA256:${"A".repeat(43)}`;
    const error = await refusal(host.target({ hostKeyFingerprint: pinned }), "host-key-mismatch");
    assert.match(error.message, new RegExp(pinned));
    assert.ok(error.message.includes(host.fingerprints.ed25519));
    assert.deepEqual(
      [error.facts?.["fingerprint"], error.facts?.["pinnedFingerprint"]],
      [host.fingerprints.ed25519, pinned],
    );
    assert.doesNotMatch(await host.logged(/^(Connection (closed|reset)|Disconnected)/), /root|publickey/);
  });

  test("tells a refused key from a host that cannot be reached", async () => {
    const privateKey = makeSshKey("ed25519").private;
    assert.match(
      (await refusal(host.target({ privateKey }), "host-authentication-failed")).message,
      /refuses the user root/,
    );
  });

  test("tells a refused user", async () => {
    assert.match(
      (await refusal(host.target({ user: "nobody-here" }), "host-authentication-failed")).message,
      /nobody-here/,
    );
  });

  test("says that a host accepts no keys", async () => {
    await using strict = await SshdHost.start({ config: ["PubkeyAuthentication no", "PasswordAuthentication yes"] });
    const error = await refusal(strict.target(), "host-authentication-failed");
    assert.match(error.message, /accepts no keys, only: .*password/);
  });

  test("says that a host wants a second factor", async () => {
    await using strict = await SshdHost.start({
      config: ["AuthenticationMethods publickey,password", "PasswordAuthentication yes"],
    });
    assert.match((await refusal(strict.target(), "host-authentication-failed")).message, /second factor/);
  });

  test("refuses a host that offers nothing but what rests on SHA-1", async () => {
    await using old = await SshdHost.start({ config: ["KexAlgorithms diffie-hellman-group14-sha1"] });
    await refusal(old.target(), "host-unsupported");
  });

  test("says that nothing listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    server.close();
    assert.match((await refusal(host.target({ port }), "host-unreachable")).message, /nothing listens/);
  });

  test("says that a name does not resolve", async () => {
    assert.match(
      (await refusal(host.target({ address: "no-such-host.invalid" }), "host-unreachable")).message,
      /cannot be found/,
    );
  });

  test("says that what answers is not an SSH server, or says nothing", async () => {
    await using server = createServer((socket) =>
      socket
        .resume()
        .on("error", () => undefined)
        .end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    ).listen(0, "127.0.0.1");
    await using mute = createServer((socket) => socket.resume().on("error", () => undefined)).listen(0, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(mute, "listening")]);
    assert.match(
      (await refusal(host.target({ port: portOf(server) }), "host-unreachable")).message,
      /not an SSH server/,
    );
    assert.match((await refusal(host.target({ port: portOf(mute) }), "host-unreachable")).message, /does not answer/);
  });

  test("notices within the time of silence that a link is dead", async () => {
    await using proxy = await CuttingProxy.to(host.port);
    await using connection = await connectToHost(host.target({ port: proxy.port }), "edge-1", signal, times);
    const waiting = connection.exec(["sleep", "60"], {}, signal);
    proxy.silence();
    const start = performance.now();
    await assert.rejects(waiting, { code: "host-connection-lost" });
    assert.ok(performance.now() - start < 3 * times.silenceMs);
    assert.equal(connection.isOpen, false);
  });

  test("keeps a live link however long a program is silent", async () => {
    await using connection = await connectToHost(host.target(), "edge-1", signal, times);
    assert.equal((await connection.exec(["sleep", String((3 * times.silenceMs) / 1000)], {}, signal)).exitCode, 0);
  });

  test("keeps a slow link whose answers to keepalives queue behind what is sent", async () => {
    await using proxy = await CuttingProxy.to(host.port);
    await using connection = await connectToHost(host.target({ port: proxy.port }), "edge-1", signal, times);
    // In the time of silence 240 kB pass, so that the last of them waits for longer than five times that.
    proxy.bytesPerSecond = 300_000;
    const result = await connection.exec(["sh", "-c", "wc -c"], { input: "x".repeat(1_500_000) }, signal);
    assert.equal(result.stdout.trim(), "1500000");
  });

  test("says that the connection was cut while a program ran", async () => {
    await using proxy = await CuttingProxy.to(host.port);
    proxy.cutAfterBytes = 100_000;
    await using connection = await connectToHost(host.target({ port: proxy.port }), "edge-1", signal, times);
    await assert.rejects(connection.exec(["sh", "-c", "cat >/dev/null"], { input: "x".repeat(1_000_000) }, signal), {
      code: "host-connection-lost",
    });
  });

  test("ends at once when it is aborted", async () => {
    await using connection = await connectToHost(host.target(), "edge-1", signal, times);
    const abort = new AbortController();
    const waiting = connection.exec(
      ["sh", "-c", "echo started; sleep 60"],
      { onLine: () => abort.abort(new Error("enough")) },
      abort.signal,
    );
    await assert.rejects(waiting, { message: "enough" });
  });

  test("bears what a login script prints", async () => {
    await using connection = await connectToHost(host.target({ user: "operator" }), "edge-1", signal, times);
    await requireShell(connection, signal);
  });

  test("says that a user has no shell", async () => {
    await using connection = await connectToHost(host.target({ user: "barred" }), "edge-1", signal, times);
    await assert.rejects(
      requireShell(connection, signal),
      (error: SkerryError) => error.code === "host-unsupported" && /barred/.test(error.message),
    );
  });
});
