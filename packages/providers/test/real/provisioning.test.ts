import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { SkerryError } from "@skerry/model";
import type { AgentRelease } from "../../src/agent-artifacts.ts";
import type { HostTarget } from "../../src/host-target.ts";
import { inspectHost } from "./inspect-host.ts";
import { provisioningSteps, type ProvisioningDeps, type StepReport } from "../../src/provisioning.ts";
import { asRoot } from "../../src/remote-script.ts";
import { connectToHost } from "../../src/ssh-handshake.ts";
import { startBareHost, type BareHost } from "./bare-host.ts";
import { releaseOf } from "./sshd/artifacts.ts";
import { CuttingProxy } from "./sshd/cutting-proxy.ts";
import { standInAgent } from "./stand-in-agent.ts";

const signal = AbortSignal.timeout(480_000);

describe("a bare host", () => {
  let host: BareHost;
  let release: AgentRelease;
  let tokens: string[];

  before(async () => {
    host = await startBareHost();
    release = await releaseOf(standInAgent());
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
  });

  function depsWith(changes: Partial<ProvisioningDeps> = {}): ProvisioningDeps {
    tokens = [];
    return {
      serverUrl: "https://192.0.2.1:7443",
      zoneId: "zon_test",
      nodeName: "edge-1",
      agentArtifacts: { releases: [release] },
      mintJoinToken: async () => {
        const token = `secret-${tokens.length}`;
        tokens.push(token);
        return Promise.resolve(token);
      },
      ...changes,
    };
  }

  /** Runs the named steps, or all, each as if this process had been started anew for it. */
  async function provision(
    target: HostTarget,
    deps: ProvisioningDeps,
    report: StepReport = () => undefined,
    only?: string,
  ): Promise<Record<string, number>> {
    const times: Record<string, number> = {};
    for (const { name } of provisioningSteps(target, deps)) {
      if (only !== undefined && name !== only) continue;
      const start = performance.now();
      await provisioningSteps(target, deps)
        .find((step) => step.name === name)
        ?.run(report, signal);
      times[name] = Math.round(performance.now() - start);
    }
    return times;
  }

  async function onHost(argv: readonly [string, ...string[]]): Promise<string> {
    await using connection = await connectToHost(host.target, "edge-1", signal);
    const [program = "true", ...rest] = [...asRoot(host.target.user), ...argv];
    const result = await connection.exec([program, ...rest], {}, signal);
    return result.stdout.trim();
  }

  async function counted(word: string): Promise<readonly string[]> {
    const lines = (await onHost(["cat", "/var/lib/skerry/count"])).split("\n");
    return lines.filter((line) => line.startsWith(word)).map((line) => line.split(" ")[1] ?? "");
  }

  test("is refused with what to add where its user may not become root, and stays as it was", async () => {
    const before = await onHost(["sh", "-c", "ls -A /opt /etc/skerry /run/skerry-provision 2>&1"]);
    await assert.rejects(provision(host.visitor, depsWith()), (error: SkerryError) => {
      assert.equal(error.code, "host-needs-sudo");
      return /NOPASSWD/.test(error.remedy ?? "");
    });
    assert.equal(await onHost(["sh", "-c", "ls -A /opt /etc/skerry /run/skerry-provision 2>&1"]), before);
  });

  test("goes on installing its packages while the connection is cut, and is followed by who comes back", async (context) => {
    await using proxy = await CuttingProxy.to(host.target.port, host.target.address);
    const cutWhenUnpacking: StepReport = (message) => {
      if (message.startsWith("Unpacking")) proxy.cut();
    };
    const target = { ...host.target, address: "127.0.0.1", port: proxy.port };
    await assert.rejects(provision(target, depsWith(), cutWhenUnpacking, "packages"), { code: "host-connection-lost" });
    const percents: number[] = [];
    const times = await provision(
      target,
      depsWith(),
      (_message, done) => done !== undefined && percents.push(done),
      "packages",
    );
    context.diagnostic(`packages, after the cut: ${times["packages"]} ms`);
    assert.ok(percents.length > 2);
    assert.deepEqual(
      percents.slice(1),
      percents.slice(1).toSorted((a, b) => a - b),
    );
    assert.equal(await onHost(["dpkg", "--audit"]), "");
    const installations = await onHost(["grep", "-c", "^Commandline: .*install", "/var/log/apt/history.log"]);
    assert.equal(installations, "1");
  });

  test("has its packages repaired where dpkg was killed in the middle", async () => {
    await onHost([
      "sh",
      "-c",
      "DEBIAN_FRONTEND=noninteractive apt-get -q -y purge wireguard-go wireguard-tools nftables",
    ]);
    let killed: Promise<string> | undefined;
    const killAtUnpacking: StepReport = (message) => {
      if (/^(Unpacking|Preparing|Installing|Configuring) /.test(message))
        killed ??= onHost([
          "sh",
          "-c",
          "pkill -9 -x dpkg; pkill -9 -x apt-get; systemctl kill -s KILL skerry-provision-packages",
        ]);
    };
    // Whether the kill comes in time to be noticed is the host's affair; what counts is the state after the next run.
    await provision(host.target, depsWith(), killAtUnpacking, "packages").catch((error: unknown) =>
      assert.equal((error as SkerryError).code, "host-command-failed"),
    );
    await killed;
    assert.ok(killed !== undefined);
    await provision(host.target, depsWith(), undefined, "packages");
    assert.equal(await onHost(["dpkg", "--audit"]), "");
    assert.match(
      await onHost(["dpkg-query", "-W", "wireguard-go", "wireguard-tools", "nftables"]),
      /^nftables.*\nwireguard-go.*\nwireguard-tools/,
    );
  });

  test("says what the agent said where it cannot join, and the token stays secret", async () => {
    const refused = depsWith({ mintJoinToken: () => Promise.resolve("refused") });
    await assert.rejects(provision(host.target, refused), (error: SkerryError) => {
      assert.equal(error.code, "host-command-failed");
      return /the server refuses the token \(token\)/.test(error.message);
    });
  });

  test("becomes a node, and the token is nowhere but in the agent's input", async (context) => {
    const times = await provision(host.target, depsWith());
    context.diagnostic(`a host with its packages and the agent's files: ${JSON.stringify(times)} ms`);
    assert.deepEqual(await counted("join"), tokens);
    const units = ["skerry-agent", "skerry-lease-guard", "libvirtd.socket"];
    assert.equal(await onHost(["systemctl", "is-active", ...units]), "active\nactive\nactive");
    assert.equal(await onHost(["systemctl", "is-enabled", ...units.slice(0, 2)]), "enabled\nenabled");
    assert.equal(await onHost(["stat", "-c", "%a %U", "/etc/skerry/agent.json"]), "600 root");
    // The brackets keep the search itself, which sudo logs, from being found.
    const leaks = await onHost([
      "sh",
      "-c",
      "grep -l [s]ecret- /etc/skerry/* /run/skerry-provision/* /opt/skerry/current/agent.mjs; journalctl -b --no-pager | grep -c [s]ecret-",
    ]);
    assert.equal(leaks, "0");
    const { state } = await inspectHost(host.target, signal);
    assert.deepEqual(state?.enrolment, {
      state: "configured",
      joined: true,
      zoneId: "zon_test",
      nodeName: "edge-1",
      serverUrl: "https://192.0.2.1:7443",
    });
    assert.equal(state?.release, release.digest);
  });

  test("is left alone by a second provisioning", async (context) => {
    const deps = depsWith();
    const pid = await onHost(["systemctl", "show", "-P", "MainPID", "skerry-agent"]);
    await using proxy = await CuttingProxy.to(host.target.port, host.target.address);
    const start = performance.now();
    for (const step of provisioningSteps({ ...host.target, address: "127.0.0.1", port: proxy.port }, { ...deps }))
      await step.run(() => undefined, signal);
    context.diagnostic(
      `a node provisioned again: ${Math.round(performance.now() - start)} ms, ${proxy.sentBytes} bytes, ${proxy.connections} connection`,
    );
    assert.deepEqual(tokens, []);
    assert.equal(proxy.connections, 1);
    // The data address is the host's own as this machine knows it, which the proxy changed; nothing else may differ.
    await provision(host.target, depsWith());
    assert.ok(proxy.sentBytes < 60_000);
    const after = await onHost(["systemctl", "show", "-P", "MainPID", "skerry-agent"]);
    assert.notEqual(after, pid);
    await provision(host.target, depsWith());
    assert.equal(await onHost(["systemctl", "show", "-P", "MainPID", "skerry-agent"]), after);
  });

  test("keeps its agent's children when the agent is replaced, killed or restarted", async () => {
    const children = async (): Promise<readonly string[]> => counted("run");
    const before = await children();
    release = await releaseOf(standInAgent({ version: 2 }));
    await provision(host.target, depsWith());
    assert.equal((await children()).length, before.length + 1);
    await onHost(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "skerry-agent"]);
    const deadline = performance.now() + 20_000;
    while ((await children()).length < before.length + 2) {
      assert.ok(performance.now() < deadline, "it was not started again");
      await delay(100);
    }
    const alive = await onHost(["sh", "-c", 'kill -0 "$@" && echo all', "sh", ...(await children())]);
    assert.equal(alive, "all");
  });

  test("shows what an agent said that ends at once, and takes the next one", async () => {
    const good = release;
    release = await releaseOf(standInAgent({ exits: true }));
    await assert.rejects(provision(host.target, depsWith()), (error: SkerryError) => {
      assert.equal(error.code, "host-command-failed");
      return /cannot go on like this/.test(error.message);
    });
    release = good;
    await provision(host.target, depsWith());
    assert.equal(await onHost(["systemctl", "is-active", "skerry-agent"]), "active");
  });

  test("is refused to another zone, and to another name in this one", async () => {
    for (const changes of [{ zoneId: "zon_other" }, { nodeName: "edge-2" }]) {
      await assert.rejects(provision(host.target, depsWith(changes)), { code: "host-enrolled-elsewhere" });
    }
  });

  test("joins again where the zone has lost its key", async () => {
    await provision(host.target, depsWith({ rejoin: true }));
    assert.deepEqual(tokens, ["secret-0"]);
  });
});
