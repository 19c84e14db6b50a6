import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { SkerryError } from "@skerry/model";
import type { WantedInstance } from "@skerry/protocol";
import "@skerry/testkit/seed";
import { isoImage } from "../src/seed/iso9660.ts";
import { noCloudFiles, yamlString, type GuestSeed } from "../src/seed/no-cloud.ts";
import { openSeedFolder } from "../src/seed/seed-folder.ts";
import { newId } from "./contract/ids.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6Xk1 somebody@example.org";
const nic = { mac: "52:54:00:12:34:56", address: "10.20.0.5/24", gateway: "10.20.0.1", mtu: 1370 };
const seed: GuestSeed = { instanceId: newId("ins"), hostname: "web-1", sshKeys: [key], nics: [nic] };

/** Reads the root directory by the standard, knowing nothing of the writer: Rock Ridge names and contents. */
function readIso(image: Buffer): { readonly volumeId: string; readonly files: Map<string, Buffer> } {
  assert.equal(image.length % 2048, 0);
  const descriptor = image.subarray(16 * 2048, 17 * 2048);
  assert.equal(descriptor.toString("latin1", 0, 7), "\x01CD001\x01");
  assert.equal(descriptor.readUInt32LE(80) * 2048, image.length);
  assert.equal(descriptor.readUInt32BE(84) * 2048, image.length);
  const start = descriptor.readUInt32LE(156 + 2) * 2048;
  const files = new Map<string, Buffer>();
  for (let at = start; image[at] !== undefined && image[at] !== 0; at += image.readUInt8(at)) {
    const record = image.subarray(at, at + image.readUInt8(at));
    if ((record.readUInt8(25) & 2) !== 0) continue;
    const idLength = record.readUInt8(32);
    let name = "";
    for (
      let field = 33 + idLength + (1 - (idLength % 2));
      field + 4 <= record.length;
      field += record.readUInt8(field + 2)
    ) {
      if (record.toString("latin1", field, field + 2) === "NM")
        name = record.toString("latin1", field + 5, field + record.readUInt8(field + 2));
      if (record.readUInt8(field + 2) === 0) break;
    }
    const from = record.readUInt32LE(2) * 2048;
    files.set(name, image.subarray(from, from + record.readUInt32LE(10)));
  }
  return { volumeId: descriptor.toString("latin1", 40, 72).trimEnd(), files };
}

function fileOf(from: GuestSeed, name: string): string {
  const file = noCloudFiles(from).find((each) => each.name === name);
  assert.ok(file);
  return Buffer.from(file.content).toString("utf8");
}

function isRefusal(error: unknown): boolean {
  return error instanceof SkerryError && error.code === "invalid-request";
}

describe("the seed's image", () => {
  test("gives back every file under its own name, whatever its size", () => {
    const content = fc.uint8Array({ maxLength: 6000, size: "max" });
    const name = fc.stringMatching(/^[a-z0-9-]{1,30}$/);
    fc.assert(
      fc.property(fc.dictionary(name, content, { maxKeys: 8, noNullPrototype: true }), (files) => {
        const wanted = Object.entries(files).map(([each, bytes]) => ({ name: each, content: bytes }));
        const read = readIso(isoImage("cidata", wanted));
        assert.equal(read.volumeId, "cidata");
        assert.deepEqual(
          [...read.files].map(([each, bytes]) => [each, [...bytes]]),
          Object.entries(files).map(([each, bytes]) => [each, [...bytes]]),
        );
      }),
      { numRuns: 100 },
    );
  });

  test("is the same for the same files", () => {
    assert.ok(isoImage("cidata", noCloudFiles(seed)).equals(isoImage("cidata", noCloudFiles({ ...seed }))));
  });

  test("refuses names that do not fit", () => {
    for (const name of ["", "../x", "A", "a".repeat(31), "a/b"])
      assert.throws(() => isoImage("cidata", [{ name, content: Buffer.alloc(1) }]), RangeError);
    assert.throws(() => isoImage("ci data", []), RangeError);
  });
});

describe("a NoCloud seed", () => {
  test("names the instance and gives its keys and addresses", () => {
    assert.deepEqual(parse(fileOf(seed, "meta-data")), {
      "instance-id": seed.instanceId,
      "local-hostname": "web-1",
      "public-keys": [key],
    });
    assert.deepEqual(parse(fileOf(seed, "network-config")), {
      version: 2,
      ethernets: {
        nic0: {
          match: { macaddress: nic.mac },
          mtu: 1370,
          dhcp4: false,
          addresses: ["10.20.0.5/24"],
          routes: [{ to: "0.0.0.0/0", via: "10.20.0.1" }],
        },
      },
    });
    assert.deepEqual(parse(fileOf(seed, "user-data")), { ssh_authorized_keys: [key] });
    assert.match(fileOf(seed, "user-data"), /^#cloud-config\n/);
  });

  test("gives one default route to a guest with two interfaces", () => {
    const config = fileOf(
      { ...seed, nics: [nic, { ...nic, mac: "52:54:00:12:34:57", address: "10.30.0.5/24", gateway: "10.30.0.1" }] },
      "network-config",
    );
    assert.equal(config.match(/via: /g)?.length, 1);
  });

  test("hands on the tenant's user data byte for byte, beside the keys", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (userData) => {
        assert.equal(fileOf({ ...seed, userData }, "user-data"), userData);
        assert.deepEqual(
          (parse(fileOf({ ...seed, userData }, "meta-data")) as { "public-keys": unknown })["public-keys"],
          [key],
        );
      }),
    );
  });

  test("is valid without keys, user data and interfaces", () => {
    const bare = { ...seed, sshKeys: [], nics: [] };
    assert.deepEqual(parse(fileOf(bare, "meta-data")), { "instance-id": seed.instanceId, "local-hostname": "web-1" });
    assert.deepEqual(parse(fileOf(bare, "user-data")), {});
    assert.deepEqual(parse(fileOf(bare, "network-config")), { version: 2, ethernets: {} });
  });

  test("writes any key so that YAML reads it back, and nothing else with it", () => {
    const word = fc.constantFrom(
      "ssh-rsa AAAA",
      "a: b",
      "- x",
      "# no",
      '"',
      "\\",
      "'",
      "{",
      "null",
      "true",
      "\u0085",
      "\u2028",
      "\u{1f600}",
      "é",
      " ",
      "\t",
      "\0",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(word, { minLength: 1, maxLength: 6 }).map((words) => words.join("")),
    );
    fc.assert(
      fc.property(text, (value) => {
        fc.pre(value.isWellFormed());
        assert.deepEqual(parse(`keys:\n  - ${yamlString(value)}\nnext: 1\n`), { keys: [value], next: 1 });
      }),
      { numRuns: 1000 },
    );
  });

  test("refuses fields that are not what they should be", () => {
    const wrong: readonly Partial<GuestSeed>[] = [
      { instanceId: "../x" },
      { hostname: "a\nb" },
      { hostname: "-a" },
      { sshKeys: ["ssh-rsa A\nB"] },
      { nics: [{ ...nic, mac: "52:54:00:12:34:5g" }] },
      { nics: [{ ...nic, address: "10.0.0.1" }] },
      { nics: [{ ...nic, address: "10.0.0.1/33" }] },
      { nics: [{ ...nic, gateway: "10.0.0.1\n" }] },
      { nics: [{ ...nic, mtu: 1.5 }] },
    ];
    for (const change of wrong)
      assert.throws(() => noCloudFiles({ ...seed, ...change }), isRefusal, JSON.stringify(change));
  });
});

describe("the folder of seeds", () => {
  const instance: WantedInstance = {
    id: newId("ins"),
    presence: "present",
    epoch: 1,
    generation: 1,
    name: "web-1",
    project: "shop",
    power: "running",
    vcpus: 1,
    memoryMiB: 96,
    rootVolume: newId("vol"),
    nics: [],
    rebootGeneration: 0,
    sshKeys: [key],
  };

  test("writes a seed once for one content, replaces it for another, and removes it", async () => {
    await using folder = await temporaryFolder();
    const seeds = await openSeedFolder(join(folder.path, "seeds"));
    const path = await seeds.build(instance, [nic], never);
    const first = await stat(path);
    assert.equal(first.mode & 0o777, 0o600);
    await seeds.build(instance, [nic], never);
    assert.equal((await stat(path)).ino, first.ino);
    assert.equal(await seeds.build({ ...instance, userData: "#!/bin/sh\n" }, [nic], never), path);
    assert.notEqual((await stat(path)).ino, first.ino);
    assert.equal(
      readIso(await readFile(path))
        .files.get("user-data")
        ?.toString(),
      "#!/bin/sh\n",
    );
    await seeds.remove(instance.id, never);
    await seeds.remove(instance.id, never);
    await assert.rejects(stat(path), { code: "ENOENT" });
  });

  test("takes only ids that the server made", async () => {
    await using folder = await temporaryFolder();
    const seeds = await openSeedFolder(folder.path);
    await assert.rejects(seeds.build({ ...instance, id: "../../etc/x" }, [nic], never), isRefusal);
    await assert.rejects(seeds.remove("ins_x", never), isRefusal);
  });
});
