import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildDebianImage, defaultTestbedOptions } from "@skerry/testbed";
import { guestGet } from "../../src/demo/guest-http.ts";
import { eventually } from "../zone.ts";
import { islet, project, startRealZone, type RealZone } from "../real-zone.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
/** Under software emulation, on a busy machine. */
const bootMs = 15 * 60_000;

describe("a full Debian guest, made over the API on a provisioned host", () => {
  let zone: RealZone;
  let folder: string;
  const key = { project, name: "debian" };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-debian-"));
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "owner@example.org", "-f", join(folder, "key")]);
    zone = await startRealZone(() => buildDebianImage({ cacheDir: defaultTestbedOptions.cacheDir }, () => undefined));
  });
  after(async () => {
    await zone.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("has its name, address, key and commands by real cloud-init, and is reached by ssh through a forward", async (context) => {
    const { client } = zone;
    const publicKey = (await readFile(join(folder, "key.pub"), "utf8")).trim();
    const userData =
      "#cloud-config\nwrite_files:\n  - path: /etc/greeting\n    content: ahoy\nruncmd:\n  - touch /var/log/ran\n";
    const spec = { ...islet, memoryMiB: 512, diskMiB: 3072, sshKeys: [publicKey], userData };
    const from = performance.now();
    const { operation } = await client.put("Instance", key, { spec });
    const { status } = await client.waitForOperation(
      operation?.metadata.name ?? "",
      () => undefined,
      AbortSignal.timeout(bootMs),
    );
    assert.equal(status.state, "succeeded", JSON.stringify(status));
    context.diagnostic(`created to healthy in ${Math.round(performance.now() - from)} ms`);
    const instance = await client.get("Instance", key);
    const signal = AbortSignal.timeout(60_000);
    assert.equal(await guestGet(client, key, "/", signal), `hello from debian ${instance.metadata.id}`);
    assert.equal(await guestGet(client, key, "/ip", signal), `${instance.status.addresses[0]?.address}/24`);

    await using forward = await forwardSsh(zone);
    const settings = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
    const words = ["-i", join(folder, "key"), "-p", String(forward.port), "debian@127.0.0.1"];
    const ssh = async (command: string): Promise<string> =>
      (
        await run("ssh", [...settings.flatMap((one) => ["-o", one]), ...words, command], { timeout: bootMs })
      ).stdout.trim();
    // Its pages are served before its ssh is.
    await eventually("ssh answers", () => ssh("echo yes"));
    assert.match(await ssh("cloud-init status --wait --long"), /^status: done$/m);
    assert.equal(await ssh("hostname"), "debian");
    assert.equal(await ssh("cat /etc/greeting; echo; ls /var/log/ran; sudo id -u"), "ahoy\n/var/log/ran\n0");
    assert.ok(Number(await ssh("df -m --output=size / | tail -n 1")) > 2500, "its file system grew with its disk");
    context.diagnostic(await ssh("cloud-init --version 2>&1; systemd-analyze | head -n 1"));

    const stopped = await client.action("Instance", key, "stop", { graceSeconds: 180 });
    const ended = await client.waitForOperation(
      stopped.operation?.metadata.name ?? "",
      () => undefined,
      AbortSignal.timeout(bootMs),
    );
    assert.equal(ended.status.state, "succeeded");
    const node = instance.assignment?.node === "alpha" ? "alpha" : "beta";
    assert.match(await zone.inHost(node, "virsh", "domstate", "--reason", instance.metadata.id), /\(shutdown\)/);
  });
});

/** `skerry instance forward`, on a port that the system chooses. */
async function forwardSsh({ connection }: RealZone): Promise<AsyncDisposable & { readonly port: number }> {
  const { url, tokenFile, authorityFile } = connection;
  const where = ["--server", url, "--token-file", tokenFile, "--authority", authorityFile, "--project", project];
  const words = ["--disable-warning=ExperimentalWarning", program, "instance", "forward", "debian", "0:22", ...where];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "inherit", "pipe"] });
  let port: number | undefined;
  for await (const line of createInterface({ input: child.stderr })) {
    port = Number(/^http:\/\/127\.0\.0\.1:(\d+) is port 22/.exec(line)?.[1]);
    if (port > 0) break;
    throw new Error(`the forward says: ${line}`);
  }
  if (port === undefined) throw new Error("the forward ended at once");
  child.stderr.resume();
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    },
  };
}
