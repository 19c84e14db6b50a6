import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SkerryError } from "@skerry/model";
import { readHostFacts, readHostState } from "../src/host-facts.ts";
import type { FreeSpace, HostFacts } from "../src/host-facts.ts";
import { requireOurs, requireRootAccess, requireSpace, requireSupported } from "../src/host-support.ts";

const facts: HostFacts = {
  hostname: "h1",
  systemId: "debian",
  systemVersion: "12",
  systemName: "Debian GNU/Linux 12 (bookworm)",
  kernel: "6.1",
  architecture: "x86_64",
  cores: 4,
  memoryMiB: 8192,
  freeSpace: [],
  virtualisation: { kvmDevice: false, tunDevice: true },
  rootAccess: "yes",
  apt: true,
  systemd: true,
};
const release = { architecture: "x86_64", digest: "d", nodeVersion: "v24", files: [] } as const;
const target = { address: "192.0.2.1", port: 22, user: "ops", privateKey: "" };
const ours = { zoneId: "zon_1", nodeName: "edge-1", serverUrl: "https://here" };

function answer(lines: readonly (readonly [string, string])[]) {
  return { exitCode: 0, values: new Map(lines), all: lines, complaint: "" };
}
function base64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64");
}

describe("whether a host may become a node", () => {
  test("depends on its system, version and architecture", () => {
    for (const [systemId, systemVersion] of [
      ["debian", "12"],
      ["debian", "13"],
      ["ubuntu", "22.04"],
      ["ubuntu", "24.04"],
    ] as const) {
      assert.equal(requireSupported({ ...facts, systemId, systemVersion }, [release]), release);
    }
    for (const changes of [
      { systemId: "debian", systemVersion: "11" },
      { systemId: "ubuntu", systemVersion: "20.04" },
      { systemId: "constructor", systemVersion: "12" },
      { systemId: "", systemVersion: "" },
      { architecture: "aarch64" },
      { systemd: false },
      { apt: false },
    ]) {
      assert.throws(() => requireSupported({ ...facts, ...changes }, [release]), { code: "host-unsupported" });
    }
  });

  test("depends on root access, with the line to add or the package to install", () => {
    requireRootAccess(target, facts);
    const remedyOf = (rootAccess: HostFacts["rootAccess"]): string => {
      try {
        requireRootAccess(target, { ...facts, rootAccess });
      } catch (error) {
        return (error as SkerryError).remedy ?? "";
      }
      return "";
    };
    assert.match(remedyOf("refused"), /echo 'ops ALL=\(ALL\) NOPASSWD: ALL' > \/etc\/sudoers\.d\/skerry/);
    assert.match(remedyOf("no-sudo"), /apt-get install sudo/);
  });

  test("depends on the space of each file system, not of each path", () => {
    const on = (...spaces: readonly (readonly [FreeSpace["path"], string, number])[]): HostFacts => ({
      ...facts,
      freeSpace: spaces.map(([path, mount, freeMiB]) => ({ path, mount, freeMiB })),
    });
    const needs = { "/opt": 150, "/usr": 300, "/var": 250 };
    requireSpace(on(["/opt", "/", 700], ["/usr", "/", 700], ["/var", "/", 700]), needs);
    requireSpace(on(["/opt", "/opt", 150], ["/usr", "/", 300], ["/var", "/var", 250]), needs);
    const full = { code: "host-disk-full", facts: { mount: "/", freeMiB: 699, neededMiB: 700 } };
    assert.throws(() => requireSpace(on(["/opt", "/", 699], ["/usr", "/", 699], ["/var", "/", 699]), needs), full);
  });

  test("depends on whose it is", () => {
    const configured = { state: "configured", joined: true } as const;
    assert.equal(requireOurs("h1", { state: "none" }, ours), "not-joined");
    assert.equal(requireOurs("h1", { ...configured, ...ours }, ours), "joined");
    assert.equal(requireOurs("h1", { ...configured, ...ours, joined: false }, ours), "not-joined");
    assert.equal(requireOurs("h1", { ...configured, nodeName: "edge-1", serverUrl: "https://here" }, ours), "joined");
    for (const other of [
      { ...ours, zoneId: "zon_2" },
      { ...ours, nodeName: "edge-2" },
      { nodeName: "edge-1", serverUrl: "https://there" },
      {},
    ]) {
      assert.throws(() => requireOurs("h1", { ...configured, ...other }, ours), { code: "host-enrolled-elsewhere" });
    }
  });
});

describe("what a host says of itself", () => {
  test("is read as facts", () => {
    const read = readHostFacts(
      answer([
        ["os-id", "debian"],
        ["architecture", "x86_64"],
        ["cores", "8"],
        ["memory-kib", "2097152"],
        ["disk", "/opt 1048576 /"],
        ["disk", "/var 2048 /mnt/a b"],
        ["kvm-device", "yes"],
        ["cpu-extension", "svm"],
        ["virtualised-by", "none"],
        ["root", "yes"],
        ["apt", "yes"],
      ]),
    );
    assert.deepEqual(
      [read.systemId, read.cores, read.memoryMiB, read.rootAccess, read.apt, read.systemd],
      ["debian", 8, 2048, "yes", true, false],
    );
    assert.deepEqual(read.freeSpace, [
      { path: "/opt", mount: "/", freeMiB: 1024 },
      { path: "/var", mount: "/mnt/a b", freeMiB: 2 },
    ]);
    assert.deepEqual(read.virtualisation, { kvmDevice: true, tunDevice: false, cpuExtension: "svm" });
  });

  test("is bounded, whatever it says", () => {
    const read = readHostFacts(
      answer([
        ["os-id", `\u001b[31m${"x".repeat(1000)}`],
        ["cores", "1e999"],
        ["memory-kib", "-5"],
        ["root", "maybe"],
        ["disk", "nonsense"],
      ]),
    );
    assert.ok(/^\[31mx+$/.test(read.systemId) && read.systemId.length === 200);
    assert.deepEqual([read.cores, read.memoryMiB, read.rootAccess, read.freeSpace], [0, 0, "refused", []]);
  });

  test("tells which packages are installed, not merely known", () => {
    const { installedPackages } = readHostState(
      answer([
        ["package", "qemu-utils installed"],
        ["package", "nftables config-files"],
      ]),
    );
    assert.deepEqual([...installedPackages], ["qemu-utils"]);
  });

  test("tells whose node it is, from its identity before its configuration", () => {
    const identity = base64({ nodeName: "edge-1", server: "https://here" });
    const config = base64({ zoneId: "zon_1", nodeName: "stale", serverUrl: "https://stale" });
    const enrolmentOf = (...lines: readonly (readonly [string, string])[]) => readHostState(answer(lines)).enrolment;
    assert.deepEqual(enrolmentOf(), { state: "none" });
    assert.deepEqual(enrolmentOf(["config", config], ["identity", identity]), {
      state: "configured",
      joined: true,
      ...ours,
    });
    assert.deepEqual(enrolmentOf(["identity", "%%%"]), { state: "configured", joined: true });
    assert.deepEqual(enrolmentOf(["config", base64([1])]), { state: "configured", joined: false });
  });
});
