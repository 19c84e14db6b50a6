import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SkerryError, type ErrorCode } from "@skerry/model";
import type { AgentRelease } from "../../src/agent-artifacts.ts";
import type { HostTarget } from "../../src/host-target.ts";
import { inspectHost } from "./inspect-host.ts";
import { provisioningSteps } from "../../src/provisioning.ts";
import { releaseOf } from "./sshd/artifacts.ts";
import { SshdHost, type SshdOptions } from "./sshd/sshd-host.ts";

const signal = AbortSignal.timeout(120_000);
const debian = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n';
const ourConfig = { zoneId: "zon_ours", nodeName: "edge-1", serverUrl: "https://here:7443" };

describe("a host that cannot become a node is refused with the remedy, and nothing on it changes", () => {
  let release: AgentRelease;
  before(async () => {
    release = await releaseOf("agent\n");
  });

  /** Runs the steps until one refuses; none may get to change anything. */
  async function refusal(
    options: SshdOptions,
    code: ErrorCode,
    changes: Partial<HostTarget> = {},
  ): Promise<SkerryError> {
    await using host = await SshdHost.start({ ...options, files: { "/etc/os-release": debian, ...options.files } });
    const steps = provisioningSteps(host.target(changes), {
      serverUrl: ourConfig.serverUrl,
      zoneId: ourConfig.zoneId,
      nodeName: ourConfig.nodeName,
      agentArtifacts: { releases: [release] },
      mintJoinToken: () => Promise.reject(new Error("no token is needed for a host that is refused")),
    });
    const before = await host.changes();
    for (const step of steps) {
      try {
        await step.run(() => undefined, signal);
      } catch (error) {
        assert.ok(error instanceof SkerryError, String(error));
        assert.equal(error.code, code, error.message);
        assert.ok(error.remedy !== undefined);
        assert.equal(await host.changes(), before);
        return error;
      }
      assert.ok(step.name === "connect", `the step ${step.name} let it pass`);
    }
    throw new Error("nothing refused it");
  }

  test("a system that is not supported", async () => {
    const files = { "/etc/os-release": 'ID=fedora\nVERSION_ID=40\nPRETTY_NAME="Fedora Linux 40"\n' };
    const error = await refusal({ files }, "host-unsupported");
    assert.match(error.message, /Fedora Linux 40/);
    assert.match(error.remedy ?? "", /Debian 12 or 13, or Ubuntu/);
  });

  test("an old release of a supported system", async () => {
    await refusal({ files: { "/etc/os-release": "ID=debian\nVERSION_ID=11\n" } }, "host-unsupported");
  });

  test("an architecture that there is no agent for", async () => {
    const arm: AgentRelease = { ...release, architecture: "aarch64" };
    const [kept] = [release];
    release = arm;
    try {
      assert.match((await refusal({}, "host-unsupported")).remedy ?? "", /aarch64/);
    } finally {
      release = kept;
    }
  });

  test("a user that may not become root, with the line that lets it", async () => {
    const error = await refusal({}, "host-needs-sudo", { user: "operator" });
    assert.equal(error.facts?.["sudoersLine"], "operator ALL=(ALL) NOPASSWD: ALL");
    assert.match(error.remedy ?? "", /sudoers\.d/);
  });

  test("a full disk, with what is needed and what is free", async () => {
    const error = await refusal({ optSize: "32m" }, "host-disk-full");
    assert.deepEqual(error.facts?.["mount"], "/opt");
    assert.ok(Number(error.facts?.["neededMiB"]) > 140);
    assert.ok(Number(error.facts?.["freeMiB"]) <= 32);
    assert.match(error.message, /\d+ MiB free on \/opt .* needs \d+ MiB/);
  });

  const elsewhere = JSON.stringify({ ...ourConfig, zoneId: "zon_theirs", serverUrl: "https://there:7443" });
  test("a node of another control plane, which is named", async () => {
    const error = await refusal(
      { files: { "/etc/skerry/agent.json": elsewhere, "/var/lib/skerry/identity.json": "{}" } },
      "host-enrolled-elsewhere",
    );
    assert.match(error.message, /https:\/\/there:7443/);
    assert.match(error.remedy ?? "", /systemctl disable --now skerry-agent/);
  });

  test("a host that another control plane is about to make a node of", async () => {
    await refusal({ files: { "/etc/skerry/agent.json": elsewhere } }, "host-enrolled-elsewhere");
  });

  test("another node of this zone", async () => {
    const files = {
      "/etc/skerry/agent.json": JSON.stringify({ ...ourConfig, nodeName: "edge-2" }),
      "/var/lib/skerry/identity.json": "{}",
    };
    assert.match((await refusal({ files }, "host-enrolled-elsewhere")).message, /already the node edge-2 of this zone/);
  });

  test("a node of nobody knows whom", async () => {
    await refusal(
      { files: { "/var/lib/skerry/identity.json": "{}", "/etc/skerry/agent.json": "not json" } },
      "host-enrolled-elsewhere",
    );
  });
});

describe("inspecting a host", () => {
  let host: SshdHost;
  before(async () => {
    host = await SshdHost.start({
      files: {
        "/etc/os-release": debian,
        "/etc/skerry/agent.json": JSON.stringify(ourConfig),
        "/var/lib/skerry/identity.json": "{}",
      },
    });
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
  });

  test("tells its system, size, virtualisation and enrolment", async () => {
    const { facts, state } = await inspectHost(host.target(), signal);
    assert.deepEqual(
      [facts.systemId, facts.systemVersion, facts.architecture],
      ["debian", "12", process.arch === "x64" ? "x86_64" : "aarch64"],
    );
    assert.ok(facts.cores > 0 && facts.memoryMiB > 0);
    assert.deepEqual(
      facts.freeSpace.map((space) => space.path),
      ["/opt", "/usr", "/var"],
    );
    assert.equal(facts.freeSpace[0]?.mount, "/opt");
    assert.ok(facts.apt && facts.systemd && facts.rootAccess === "yes");
    assert.deepEqual(state?.enrolment, { state: "configured", joined: true, ...ourConfig });
  });

  test("tells of a user without root access what it may see", async () => {
    const { facts, state } = await inspectHost(host.target({ user: "operator" }), signal);
    assert.notEqual(facts.rootAccess, "yes");
    assert.equal(state, undefined);
  });
});
