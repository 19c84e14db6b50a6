import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SkerryError } from "@skerry/model";
import type { AgentRelease } from "../../src/agent-artifacts.ts";
import { installAgent } from "../../src/agent-step.ts";
import { connectToHost } from "../../src/ssh-handshake.ts";
import type { StepReport } from "../../src/provisioning.ts";
import { killInstallations } from "./installation-kills.ts";
import { releaseOf } from "./sshd/artifacts.ts";
import { CuttingProxy } from "./sshd/cutting-proxy.ts";
import { SshdHost } from "./sshd/sshd-host.ts";

const signal = AbortSignal.timeout(240_000);
const config = '{"nodeName":"edge-1"}\n';
const silent: StepReport = () => undefined;

async function install(
  host: SshdHost,
  port: number,
  release: AgentRelease,
  report = silent,
  stop: AbortSignal = signal,
): Promise<void> {
  await using connection = await connectToHost(host.target({ port }), "edge-1", stop);
  await installAgent(connection, release, config, report, stop);
}

function sizeOf(release: AgentRelease): number {
  return release.files.reduce((sum, file) => sum + file.compressedBytes, 0);
}

/** The current release's folder, after its digests were verified. */
async function current(host: SshdHost): Promise<string> {
  return (
    await host.within([
      "sh",
      "-ec",
      "cd /opt/skerry/current/; sha256sum --check --quiet SHA256SUMS; readlink /opt/skerry/current",
    ])
  ).trim();
}

describe("bringing the agent to a host", () => {
  test("installs a release, and sends nothing and changes nothing the second time", async () => {
    await using host = await SshdHost.start();
    await using proxy = await CuttingProxy.to(host.port);
    const release = await releaseOf("console.log('one');\n");
    await install(host, proxy.port, release);
    const sent = proxy.sentBytes;
    assert.equal(await current(host), `releases/${release.digest}`);
    assert.ok(sent < sizeOf(release) * 1.01 + 50_000, `${sent} bytes for ${sizeOf(release)}`);
    const listing = [
      "sh",
      "-ec",
      "cd /opt/skerry; find . /etc/skerry /etc/systemd/system/skerry-agent.service -printf '%p %m %T@ %i\\n' | sort",
    ];
    const before = await host.within(listing);
    assert.match(before, /\/etc\/skerry 700 .*\n\/etc\/skerry\/agent\.json 600 /);
    assert.doesNotMatch(before, /incoming/);
    assert.equal(await host.within(["/opt/skerry/current/node", "/opt/skerry/current/agent.mjs"]), "one\n");
    await install(host, proxy.port, release);
    assert.ok(proxy.sentBytes - sent < 30_000, `${proxy.sentBytes - sent} bytes the second time`);
    assert.equal(await host.within(listing), before);
  });

  test("continues where a cut connection stopped, however often it is cut", async () => {
    await using host = await SshdHost.start();
    await using proxy = await CuttingProxy.to(host.port);
    const release = await releaseOf("console.log('cut');\n");
    const cuts = 6;
    const offsets: number[] = [];
    for (let cut = 0; cut < cuts; cut++) {
      proxy.cutAfterBytes = Math.floor(sizeOf(release) / cuts) - cut * 1_000_003;
      let first: number | undefined;
      await assert.rejects(
        install(host, proxy.port, release, (_message, done) => (first ??= done)),
        { code: "host-connection-lost" },
      );
      offsets.push(first ?? 0);
    }
    await install(host, proxy.port, release);
    assert.equal(await current(host), `releases/${release.digest}`);
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );
    // What was on its way at a cut is lost: at most the window of the channel and of TCP.
    const lost = proxy.sentBytes - sizeOf(release);
    assert.ok(lost < cuts * 5_000_000, `${lost} bytes were sent twice`);
  });

  test("continues after its own side was aborted", async () => {
    await using host = await SshdHost.start();
    await using proxy = await CuttingProxy.to(host.port);
    const release = await releaseOf("console.log('aborted');\n");
    const abort = new AbortController();
    const stopAtHalf: StepReport = (_message, done = 0, total = 0) => {
      if (done > total / 2) abort.abort(new Error("cancelled"));
    };
    await assert.rejects(install(host, proxy.port, release, stopAtHalf, abort.signal), { message: "cancelled" });
    const sent = proxy.sentBytes;
    await install(host, proxy.port, release);
    assert.equal(await current(host), `releases/${release.digest}`);
    assert.ok(proxy.sentBytes - sent < sizeOf(release) * 0.7);
  });

  test("says that the disk is full, and continues once it is not", async () => {
    const release = await releaseOf("console.log('full');\n");
    await using host = await SshdHost.start({ optSize: `${Math.floor(sizeOf(release) / 2)}` });
    await using proxy = await CuttingProxy.to(host.port);
    const isFull = (error: SkerryError): boolean => error.code === "host-disk-full" && error.facts?.["path"] === "/opt";
    await assert.rejects(install(host, proxy.port, release), isFull);
    // Room for what is sent, but not for what it unpacks to: the received part stays, the half release goes.
    await host.within(["mount", "-o", "remount,size=100m", "/opt"]);
    await assert.rejects(install(host, proxy.port, release), isFull);
    assert.match(await host.within(["ls", "/opt/skerry/incoming"]), /^[0-9a-f]{64}\n[0-9a-f]{64}\n$/);
    const sent = proxy.sentBytes;
    await host.within(["mount", "-o", "remount,size=300m", "/opt"]);
    await install(host, proxy.port, release);
    assert.ok(proxy.sentBytes - sent < 50_000);
    assert.equal(await current(host), `releases/${release.digest}`);
  });

  test("sends again, once, what turns out to be something else, however well it unpacks", async () => {
    await using host = await SshdHost.start();
    const release = await releaseOf("console.log('damaged');\n", "/bin/true");
    const other = await releaseOf("", "/bin/ls");
    const [wanted, found] = [release.files[0], other.files[0]];
    assert.ok((found?.compressedBytes ?? 0) > (wanted?.compressedBytes ?? 0), "it would only be completed");
    const plant = 'mkdir -p /opt/skerry/incoming; cp "$1" "/opt/skerry/incoming/$2"';
    await host.within(["sh", "-ec", plant, "sh", found?.compressedPath ?? "", wanted?.compressedSha256 ?? ""]);
    const said: string[] = [];
    await install(host, host.port, release, (message) => said.push(message));
    assert.equal(said.filter((message) => message.includes("damaged")).length, 1);
    assert.equal(await current(host), `releases/${release.digest}`);
  });

  test("sends a new bundle without the Node that is there, and keeps one release to go back to", async () => {
    await using host = await SshdHost.start();
    await using proxy = await CuttingProxy.to(host.port);
    const releases = [];
    // A program of a size that shows, and quicker to verify three times than Node.
    for (const text of ["1\n", "2\n", "3\n"]) releases.push(await releaseOf(text, "/bin/bash"));
    const digests = releases.map((release) => release.digest);
    for (const release of releases) {
      const before = proxy.sentBytes;
      await install(host, proxy.port, release);
      if (release !== releases[0]) assert.ok(proxy.sentBytes - before < 50_000);
      assert.equal(await current(host), `releases/${release.digest}`);
    }
    const kept = (await host.within(["ls", "/opt/skerry/releases"])).trim().split("\n");
    assert.deepEqual(kept.toSorted(), digests.slice(1).toSorted());
  });

  test("refuses a program that does not run on the host before it is current", async () => {
    await using host = await SshdHost.start();
    const good = await releaseOf("good\n", "/bin/true");
    await install(host, host.port, good);
    await assert.rejects(install(host, host.port, await releaseOf("bad\n", "/bin/false")), {
      code: "host-command-failed",
    });
    assert.equal(await current(host), `releases/${good.digest}`);
    assert.equal((await host.within(["ls", "/opt/skerry/releases"])).trim(), good.digest);
  });
});

test("an installation killed at any fourth of its commands leaves a whole release or none, and the next finishes it", async () => {
  assert.ok((await killInstallations(4)) > 10);
});
