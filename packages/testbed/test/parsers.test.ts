import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAptConfig, parseIndexTargets, sourceLines } from "../src/apt.ts";
import { masterBootRecord } from "../src/disk.ts";
import { isLeader, keyFingerprint } from "../src/host.ts";
import { loadOrder, moduleDepends } from "../src/kernel-modules.ts";
import { mountPoints } from "../src/mounts.ts";
import { isDebian } from "../src/prerequisites.ts";
import { parseRecord } from "../src/record.ts";

describe("reading this machine's apt", () => {
  test("keeps Debian 12's own suites once each and leaves other repositories out", () => {
    const text = [
      "Debian|http://mirror.example/debian/|bookworm|main",
      "Debian|http://mirror.example/debian|bookworm|main",
      "Debian|http://mirror.example/debian|bookworm|contrib",
      "|https://mirror.example/debian-security/|bookworm-security|main",
      "Somebody|http://other.example/apt|bookworm|main",
      "Debian|http://mirror.example/debian|trixie|main",
      'Debian|http://mirror.example/a b"|bookworm|main',
      "",
    ].join("\n");
    const sources = parseIndexTargets(text);
    assert.deepEqual(sources, [
      { uri: "http://mirror.example/debian", suite: "bookworm" },
      { uri: "https://mirror.example/debian-security", suite: "bookworm-security" },
    ]);
    assert.equal(sourceLines(sources, false)[1], "deb https://mirror.example/debian-security bookworm-security main");
    assert.equal(
      sourceLines(sources, true)[1],
      "deb http://HTTPS///mirror.example/debian-security bookworm-security main",
    );
  });

  test("shares date checks and the proxy of apt's configuration, nothing else", () => {
    const text =
      'APT::Architecture "amd64";\nAcquire::http::Proxy "http://10.0.0.1:3128";\nAcquire::Check-Valid-Until "false";\n';
    assert.deepEqual(parseAptConfig(text), {
      upstreamProxy: "http://10.0.0.1:3128",
      options: ['Acquire::Check-Valid-Until "false";'],
    });
    assert.equal(parseAptConfig('Acquire::http::Proxy "";\n').upstreamProxy, undefined);
  });
});

describe("finding what is left", () => {
  const mountinfo = [
    "22 1 254:0 / / rw - ext4 /dev/vda rw",
    "40 22 0:50 / /state/hosts/a/root rw - overlay x rw",
    "41 40 0:51 / /state/hosts/a/root/with\\040space rw - tmpfs x rw",
    "42 22 0:52 / /statement rw - tmpfs x rw",
    "",
  ].join("\n");

  test("mounts come deepest first, with their names unescaped, and a directory named alike stays", () => {
    assert.deepEqual(mountPoints(mountinfo, "/state"), ["/state/hosts/a/root/with space", "/state/hosts/a/root"]);
  });

  test("a record that a crash cut off counts as none", () => {
    const options = { stateDir: "/a/b", cacheDir: "/c/d", providers: 2, nodesPerProvider: 1, wanDelayMs: 10 };
    const whole = { version: 1, options, complete: { bare: ["/c/d/x"], hypervisor: ["/c/d/y", "/c/d/x"] } };
    const text = JSON.stringify(whole);
    assert.deepEqual(parseRecord(text), whole);
    assert.deepEqual(parseRecord(JSON.stringify({ version: 1, options })), { version: 1, options });
    for (let length = 0; length < text.length; length += 1) assert.equal(parseRecord(text.slice(0, length)), undefined);
    assert.equal(parseRecord(text.replace('"version":1', '"version":2')), undefined);
    assert.equal(parseRecord(text.replace('"/a/b"', "1")), undefined);
    assert.equal(parseRecord(text.replace('["/c/d/x"]', "true")), undefined);
  });

  test("a host's leader is the first process of its own pid namespace, one level down", () => {
    assert.ok(isLeader("Name:\tsystemd\nNSpid:\t4711\t1\n"));
    assert.ok(!isLeader("Name:\tsh\nNSpid:\t4711\n"));
    assert.ok(!isLeader("Name:\tx\nNSpid:\t4711\t30\n"));
    assert.ok(!isLeader("Name:\tinner\nNSpid:\t4711\t30\t1\n"));
  });
});

test("a key's fingerprint is the one that ssh-keygen prints", () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f comment";
  assert.equal(keyFingerprint(key), "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA");
});

describe("this machine", () => {
  test("counts as Debian from 12 on, testing without a number included", () => {
    assert.ok(isDebian('ID=debian\nVERSION_ID="12"\n'));
    assert.ok(isDebian("ID=debian\n"));
    assert.ok(!isDebian('ID=debian\nVERSION_ID="11"\n'));
    assert.ok(!isDebian('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'));
  });
});

describe("building a disk", () => {
  test("a boot record holds its code, its partitions in sectors and its signature", () => {
    const sector = masterBootRecord(new Uint8Array(440).fill(7), [
      { type: 0x0e, bootable: true, startSector: 2_048, sectors: 49_152 },
      { type: 0x83, bootable: false, startSector: 51_200, sectors: 81_920 },
    ]);
    const view = new DataView(sector.buffer);
    assert.equal(sector.length, 512);
    assert.equal(sector[439], 7);
    assert.deepEqual(
      [sector[446], sector[450], view.getUint32(454, true), view.getUint32(458, true)],
      [0x80, 0x0e, 2_048, 49_152],
    );
    assert.deepEqual(
      [sector[462], sector[466], view.getUint32(470, true), view.getUint32(474, true)],
      [0, 0x83, 51_200, 81_920],
    );
    assert.deepEqual([...sector.slice(510)], [0x55, 0xaa]);
    assert.throws(() => masterBootRecord(new Uint8Array(441), []), RangeError);
  });

  test("a module's needs are read from its file, dashes as underscores", () => {
    const module = (depends: string): Buffer =>
      Buffer.from(`\x7fELF...\0license=GPL\0depends=${depends}\0name=x\0`, "latin1");
    assert.deepEqual(moduleDepends(module("virtio,virtio-ring")), ["virtio", "virtio_ring"]);
    assert.deepEqual(moduleDepends(module("")), []);
    assert.deepEqual(moduleDepends(Buffer.from("nothing")), []);
  });

  test("a module that the kernel package lacks is named", async () => {
    await assert.rejects(loadOrder(["absent"], new Map()), /no module absent/);
  });
});
