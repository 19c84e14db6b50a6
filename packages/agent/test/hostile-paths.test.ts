import assert from "node:assert/strict";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { VolumeFolder } from "../src/drivers/volume/volume-folder.ts";
import { ImageCache } from "../src/images/image-cache.ts";
import { LeaseFolder } from "../src/leases/lease-folder.ts";
import { openSeedFolder } from "../src/seed/seed-folder.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const signal = new AbortController().signal;
const hex = "0".repeat(64);

/** Names that would lead elsewhere, as an id of the right kind begins and without. */
function hostile(prefix: string): readonly string[] {
  const tails = [
    "../../victim",
    "/../victim",
    "..",
    "a/b",
    "x\0",
    "x\n",
    "-rf",
    "0".repeat(25),
    `${"0".repeat(26)}/../v`,
  ];
  return tails.flatMap((tail) => [tail, `${prefix}_${tail}`]);
}

test("no name that comes from elsewhere leaves its folder: of a disk, an image, a seed or a lease", async () => {
  await using folder = await temporaryFolder();
  const inner = join(folder.path, "a", "b");
  await mkdir(inner, { recursive: true });
  await writeFile(join(folder.path, "victim"), "untouched");
  const volumes = await VolumeFolder.open(join(inner, "volumes"), "qcow2", async () => undefined);
  const seeds = await openSeedFolder(join(inner, "seeds"));
  const leases = new LeaseFolder(join(inner, "leases"));
  const images = await ImageCache.open(join(inner, "images"), { open: () => assert.fail("it was asked for") });
  const isRefusal = (error: unknown): boolean => error instanceof SkerryError && error.code === "invalid-request";

  for (const id of hostile("vol")) assert.throws(() => volumes.finalPath(id), isRefusal, JSON.stringify(id));
  for (const id of hostile("ins")) {
    await assert.rejects(seeds.remove(id, signal), isRefusal, JSON.stringify(id));
    const instance = { id, name: "web", sshKeys: [] } as unknown as Parameters<typeof seeds.build>[0];
    await assert.rejects(seeds.build(instance, [], signal), isRefusal, JSON.stringify(id));
    assert.throws(() => leases.set(id, 1), isRefusal, JSON.stringify(id));
    assert.throws(() => leases.clear(id), isRefusal, JSON.stringify(id));
  }
  for (const digest of ["sha256:../../victim", `sha256:${hex}/../v`, `sha256:${hex}\n`, hex, `sha512:${hex}`])
    await assert.rejects(
      images.get(digest, 4, () => undefined, signal),
      isRefusal,
      JSON.stringify(digest),
    );

  assert.equal(await readFile(join(folder.path, "victim"), "utf8"), "untouched");
  const files = (await readdir(inner, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  assert.deepEqual(files, []);
});
