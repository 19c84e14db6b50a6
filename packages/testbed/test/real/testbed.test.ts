import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../src/command.ts";
import {
  bringUp,
  defaultTestbedOptions,
  describeTestbed,
  installPrerequisites,
  takeDown,
  TestbedError,
  visitorUser,
  type Progress,
  type Testbed,
  type TestbedHost,
} from "../../src/index.ts";
import { eventually, traces } from "./machine.ts";

const wanDelayMs = 10;
/** Only root enters it: nothing that runs as another user may need the testbed's state. */
const privateFolder = "/var/lib/skerry-testbed-test";
const options = { ...defaultTestbedOptions, stateDir: `${privateFolder}/testbed`, providers: 2, wanDelayMs };
const quiet: Progress = () => undefined;

before(async () => {
  await installPrerequisites(quiet);
  await mkdir(privateFolder, { recursive: true, mode: 0o700 });
});
after(async () => {
  await takeDown(options, quiet);
  await rm(privateFolder, { recursive: true });
});

describe("a testbed of two providers", () => {
  let testbed: Testbed;
  let knownHosts: string;
  let scratch: string;

  before(async () => {
    testbed = await bringUp(options, quiet);
    scratch = await mkdtemp("/tmp/testbed-test-");
    knownHosts = `${scratch}/known_hosts`;
    for (const host of testbed.hosts) await pin(host);
  });
  after(async () => {
    await rm(scratch, { recursive: true });
  });

  /** Trusts what the host answers with only if it has the fingerprint that the testbed told beforehand. */
  async function pin(host: TestbedHost): Promise<void> {
    const { stdout: key } = await runCommand(["ssh-keyscan", "-t", "ed25519", host.address]);
    const { stdout: listed } = await runCommand(["ssh-keygen", "-l", "-f", "-"], { input: key });
    assert.ok(listed.includes(` ${host.hostKeyFingerprint} `), listed);
    await writeFile(knownHosts, key, { flag: "a" });
  }

  async function ssh(host: TestbedHost, user: string, ...words: readonly string[]): Promise<string> {
    const settings = [
      "BatchMode=yes",
      "StrictHostKeyChecking=yes",
      `UserKnownHostsFile=${knownHosts}`,
      "ConnectTimeout=5",
    ];
    const argv = [
      "ssh",
      ...settings.flatMap((setting) => ["-o", setting]),
      "-i",
      testbed.sshPrivateKeyPath,
      `${user}@${host.address}`,
    ];
    return (await runCommand([...argv, ...words])).stdout;
  }

  function host(index: number): TestbedHost {
    const found = testbed.hosts[index];
    assert.ok(found !== undefined);
    return found;
  }

  test("has one hypervisor and one bare host, reachable with the key and the fingerprint it told", async () => {
    assert.deepEqual(
      testbed.hosts.map(({ name, packages }) => [name, packages]),
      [
        ["p1-h1", "hypervisor"],
        ["p2-h1", "bare"],
      ],
    );
    assert.equal(await ssh(host(0), testbed.sshUser, "sudo", "id", "-u"), "0\n");
    assert.equal(await ssh(host(1), testbed.sshUser, "hostname"), "p2-h1\n");
    assert.match(
      await ssh(host(0), testbed.sshUser, "sudo", "virsh", "--connect", "qemu:///system", "version"),
      /hypervisor: QEMU/,
    );
    await assert.rejects(ssh(host(1), testbed.sshUser, "test", "-e", "/usr/bin/virsh"));
  });

  test("refuses root, and lets the visitor in without sudo", async () => {
    await assert.rejects(ssh(host(0), "root", "true"), /Permission denied/);
    assert.equal(await ssh(host(0), visitorUser, "id", "-un"), `${visitorUser}\n`);
    await assert.rejects(ssh(host(0), visitorUser, "sudo", "-n", "true"), /password is required/);
  });

  test("delays every provider's link, so that providers are four one-way delays apart and the control plane two", async () => {
    for (const [address, links] of [
      [host(1).address, 2],
      [testbed.controlPlaneAddress, 1],
    ] as const) {
      const report = await ssh(host(0), testbed.sshUser, "ping", "-q", "-c", "10", "-i", "0.2", address);
      const [, least, average] = /= ([\d.]+)\/([\d.]+)\//.exec(report) ?? [];
      const wanted = 2 * links * wanDelayMs;
      assert.ok(Number(least) >= wanted, report);
      assert.ok(Number(average) < wanted + 15, report);
    }
  });

  test("carries packets of 1500 bytes between providers and no larger ones", async () => {
    const send = (size: number): Promise<string> =>
      ssh(host(0), testbed.sshUser, "ping", "-c", "1", "-W", "2", "-M", "do", "-s", String(size), host(1).address);
    await send(1_472);
    await assert.rejects(send(1_473));
  });

  test("installs a package on the bare host through the caching proxy", async () => {
    await ssh(host(1), testbed.sshUser, "sudo", "apt-get", "update", "-q");
    await ssh(host(1), testbed.sshUser, "sudo", "apt-get", "install", "-q", "--yes", "hello");
    assert.equal(await ssh(host(1), testbed.sshUser, "hello"), "Hello, world!\n");
    const cached = await readdir(`${options.cacheDir}/apt`, { recursive: true });
    assert.ok(cached.some((path) => /\/hello_[^/]+\.deb$/.test(path)));
  });

  test("survives a reboot of a host, which keeps its disk, address and key but gets a new leader", async () => {
    await ssh(host(0), testbed.sshUser, "sudo", "touch", "/kept");
    // The connection may end before the command has answered.
    await ssh(host(0), testbed.sshUser, "sudo", "systemctl", "reboot").catch(() => "");
    const again = await eventually("the reboot", 60_000, async () => {
      const now = (await describeTestbed(options))?.hosts[0];
      return now !== undefined && now.leaderPid !== host(0).leaderPid ? now : undefined;
    });
    assert.equal(again.hostKeyFingerprint, host(0).hostKeyFingerprint);
    await eventually("ssh after the reboot", 60_000, () => ssh(again, testbed.sshUser, "test", "-e", "/kept"));
  });

  test("is whole again after a second bringUp when a host was powered off and a link was cut", async () => {
    await ssh(host(1), testbed.sshUser, "sudo", "systemctl", "poweroff").catch(() => "");
    await eventually("the power-off", 30_000, async () =>
      (await describeTestbed(options)) === undefined ? true : undefined,
    );
    const relays = await runCommand(["pgrep", "-f", "link\\.py sk-wan p2 sk-p2 "]);
    for (const pid of relays.stdout.trim().split("\n")) process.kill(Number(pid), "SIGKILL");
    testbed = await bringUp(options, quiet);
    assert.equal(await ssh(host(1), testbed.sshUser, "hello"), "Hello, world!\n");
  });

  test("comes up a second time within seconds and as it was", async () => {
    const startedAt = performance.now();
    assert.deepEqual(await bringUp(options, quiet), testbed);
    assert.ok(performance.now() - startedAt < 10_000);
  });

  test("refuses other options and another state directory while it is up, and says what to do", async () => {
    for (const other of [
      { ...options, providers: 3 },
      { ...options, stateDir: `${privateFolder}/testbed-other` },
    ]) {
      await assert.rejects(
        bringUp(other, quiet),
        (error: unknown) => error instanceof TestbedError && /take it down/i.test(error.remedy),
      );
    }
  });
});

describe("a bringUp that is killed in the middle", () => {
  const script = fileURLToPath(new URL("./bring-up-process.ts", import.meta.url));
  const buildCache = "/var/cache/skerry-testbed-test";
  after(async () => {
    await takeDown({ ...options, cacheDir: buildCache }, quiet);
    await rm(buildCache, { recursive: true, force: true });
  });

  /** Starts a bringUp and kills it with SIGKILL at the first progress event that matches. */
  async function killAt(cacheDir: string, matches: RegExp): Promise<void> {
    const child = spawn(process.execPath, [script, options.stateDir, cacheDir, "2"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    let killed = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (killed || !matches.test(line)) continue;
      killed = true;
      child.kill("SIGKILL");
    }
    await exited;
    assert.ok(killed, `no progress matched ${matches}`);
  }

  /** Gives the second cache the first one's bare tree, as links, so that the next tree is the one that is built. */
  async function lendBareTree(): Promise<void> {
    const name = (await readdir(`${options.cacheDir}/trees`)).find((one) => one.startsWith("bare-"));
    assert.ok(name !== undefined);
    await mkdir(`${buildCache}/trees`, { recursive: true });
    await runCommand(["cp", "--archive", "--link", `${options.cacheDir}/trees/${name}`, `${buildCache}/trees/`]);
  }

  for (const [moment, cacheDir, matches] of [
    ["while it makes networks", options.cacheDir, /"networks"\}/],
    ["after the networks", options.cacheDir, /"networks","elapsedMs"/],
    ["while hosts boot", options.cacheDir, /"boot hosts"\}/],
    ["when the first host is up", options.cacheDir, /"boot hosts","detail"/],
    ["while packages of a tree are fetched", buildCache, /"build bare tree","detail":"downloading/],
    ["while packages of a tree are unpacked", buildCache, /"build bare tree","detail":"extracting/],
    ["while a container installs the second tree", buildCache, /"build hypervisor tree","detail"/],
  ] as const) {
    test(`${moment} leaves nothing that takeDown does not find`, async () => {
      await takeDown(options, quiet);
      if (matches.source.includes("hypervisor")) await lendBareTree();
      await killAt(cacheDir, matches);
      await takeDown({ ...options, cacheDir }, quiet);
      assert.deepEqual(await traces([options.stateDir, `${buildCache}/trees/.partial`]), []);
      const trees = await readdir(`${cacheDir}/trees`).catch(() => []);
      assert.deepEqual(
        trees.filter((name) => name.startsWith(".")),
        [],
      );
    });
  }

  test("is made whole by the next bringUp", async () => {
    await killAt(options.cacheDir, /"boot hosts"\}/);
    assert.equal((await bringUp(options, quiet)).hosts.length, 2);
    await takeDown(options, quiet);
    assert.deepEqual(await traces([options.stateDir]), []);
  });
});
