import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { VolumeDriver } from "../../src/drivers/volume.ts";
import { newId } from "./ids.ts";

/** What a driver brings to the suite; `close` removes whatever was made. */
export interface VolumeContractSetup {
  /** Opens the driver over the same disk, as after a restart of the agent. */
  open(): Promise<VolumeDriver>;
  /** An image file with some content. */
  image(): Promise<{ readonly path: string; readonly format: "qcow2" | "raw" }>;
  close(): Promise<void>;
}

/** Copies each chunk: the next one overwrites it. */
async function bytesOf(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function isSkerryError(code?: string): (error: unknown) => boolean {
  return (error) => error instanceof SkerryError && (code === undefined || error.code === code);
}

/** The behaviour that every volume driver owes. */
export function volumeDriverContract(title: string, prepare: () => Promise<VolumeContractSetup>): void {
  const never = new AbortController().signal;

  const check = (name: string, body: (driver: VolumeDriver, setup: VolumeContractSetup) => Promise<void>): void => {
    test(name, async () => {
      const setup = await prepare();
      try {
        await body(await setup.open(), setup);
      } finally {
        await setup.close();
      }
    });
  };
  const find = async (driver: VolumeDriver, id: string) => (await driver.list(never)).find((file) => file.id === id);
  /** The bytes of a small finished volume, as another node would send them. */
  const donor = async (driver: VolumeDriver, setup: VolumeContractSetup): Promise<Buffer> => {
    const id = newId("vol");
    await driver.createFromImage(id, 1, await setup.image(), 16, never);
    return bytesOf((await driver.read(id, 0, never)).bytes);
  };

  describe(title, () => {
    check("lists nothing on an empty disk", async (driver) => {
      assert.deepEqual(await driver.list(never), []);
    });

    check("makes a blank volume that is ready, with its epoch, also after a restart", async (driver, setup) => {
      const id = newId("vol");
      await driver.createBlank(id, 3, 8, never);
      for (const each of [driver, await setup.open()]) {
        const file = await find(each, id);
        assert.equal(file?.state, "ready");
        assert.equal(file.epoch, 3);
        assert.ok(file.usedBytes >= 0);
      }
      assert.match(driver.attachment(id).path, new RegExp(id));
    });

    check("makes a full copy of an image, and leaves the image as it was", async (driver, setup) => {
      const image = await setup.image();
      const id = newId("vol");
      await driver.createFromImage(id, 1, image, 16, never);
      await driver.createFromImage(id, 1, image, 16, never);
      assert.equal((await find(driver, id))?.state, "ready");
      assert.notEqual(driver.attachment(id).path, image.path);
    });

    check("keeps the content of a volume that is made again", async (driver, setup) => {
      const id = newId("vol");
      await driver.createFromImage(id, 1, await setup.image(), 16, never);
      const before = await driver.digest(id, never);
      await driver.createBlank(id, 1, 16, never);
      assert.equal(await driver.digest(id, never), before);
    });

    check("the epoch only rises", async (driver, setup) => {
      const id = newId("vol");
      await driver.createBlank(id, 2, 8, never);
      await driver.setEpoch(id, 5, never);
      await driver.setEpoch(id, 5, never);
      await assert.rejects(driver.setEpoch(id, 4, never), isSkerryError("conflict"));
      await assert.rejects(driver.createBlank(id, 4, 8, never), isSkerryError("conflict"));
      await assert.rejects(driver.importOffset(id, 4, never), isSkerryError("conflict"));
      assert.equal((await find(await setup.open(), id))?.epoch, 5);
    });

    check("grows, also when asked twice, and refuses to shrink", async (driver) => {
      const id = newId("vol");
      await driver.createBlank(id, 1, 8, never);
      await driver.grow(id, 16, never);
      await driver.grow(id, 16, never);
      await assert.rejects(driver.grow(id, 8, never), isSkerryError("conflict"));
    });

    check("reads the same bytes that its digest is of, from any offset", async (driver, setup) => {
      const id = newId("vol");
      await driver.createFromImage(id, 1, await setup.image(), 16, never);
      const whole = await driver.read(id, 0, never);
      const bytes = await bytesOf(whole.bytes);
      assert.equal(bytes.length, whole.sizeBytes);
      assert.equal(await driver.digest(id, never), digestOf(bytes));
      const tail = await driver.read(id, 1000, never);
      assert.equal(tail.sizeBytes, whole.sizeBytes);
      assert.ok(bytes.subarray(1000).equals(await bytesOf(tail.bytes)));
    });

    check("imports in pieces across restarts and is ready only once the digest was verified", async (driver, setup) => {
      const bytes = await donor(driver, setup);
      const half = Math.floor(bytes.length / 2);
      const id = newId("vol");
      assert.equal(await driver.importOffset(id, 2, never), 0);
      assert.equal(await driver.importWrite(id, 0, Readable.from([bytes.subarray(0, half)]), never), half);
      const again = await setup.open();
      assert.equal((await find(again, id))?.state, "partial");
      assert.equal(await again.importOffset(id, 2, never), half);
      assert.equal(await again.importWrite(id, half, Readable.from([bytes.subarray(half)]), never), bytes.length);
      assert.throws(() => again.attachment(id), isSkerryError("conflict"));
      await again.importComplete(id, digestOf(bytes), never);
      await again.importComplete(id, digestOf(bytes), never);
      const file = await find(again, id);
      assert.equal(file?.state, "ready");
      assert.equal(file.epoch, 2);
      assert.equal(await again.digest(id, never), digestOf(bytes));
    });

    check("an import whose stream is cut keeps what arrived", async (driver, setup) => {
      const bytes = await donor(driver, setup);
      const id = newId("vol");
      await driver.importOffset(id, 1, never);
      const cut = Readable.from(
        (function* () {
          yield bytes.subarray(0, 4096);
          throw new Error("the stream was cut");
        })(),
      );
      await assert.rejects(driver.importWrite(id, 0, cut, never), /the stream was cut/);
      const offset = await driver.importOffset(id, 1, never);
      assert.ok(offset <= 4096);
      await driver.importWrite(id, offset, Readable.from([bytes.subarray(offset)]), never);
      await driver.importComplete(id, digestOf(bytes), never);
      assert.equal((await find(driver, id))?.state, "ready");
    });

    check("drops what was imported where the digest does not match", async (driver, setup) => {
      const bytes = await donor(driver, setup);
      const id = newId("vol");
      await driver.importOffset(id, 1, never);
      await driver.importWrite(id, 0, Readable.from([bytes]), never);
      await assert.rejects(
        driver.importComplete(id, digestOf(randomBytes(8)), never),
        isSkerryError("digest-mismatch"),
      );
      assert.notEqual((await find(driver, id))?.state, "ready");
      assert.equal(await driver.importOffset(id, 1, never), 0);
    });

    check("refuses an import that is no disk of its format, whatever its digest", async (driver) => {
      const bytes = randomBytes(100_000);
      const id = newId("vol");
      await driver.importOffset(id, 1, never);
      await driver.importWrite(id, 0, Readable.from([bytes]), never);
      await assert.rejects(driver.importComplete(id, digestOf(bytes), never), isSkerryError());
      assert.equal((await find(driver, id))?.state, "partial");
    });

    check("refuses to write beyond the end of what was imported", async (driver) => {
      const id = newId("vol");
      await driver.importOffset(id, 1, never);
      await assert.rejects(
        driver.importWrite(id, 10, Readable.from([randomBytes(4)]), never),
        isSkerryError("conflict"),
      );
    });

    check("removes a volume in any state, and again", async (driver, setup) => {
      const ready = newId("vol");
      const partial = newId("vol");
      await driver.createBlank(ready, 1, 8, never);
      await driver.importOffset(partial, 1, never);
      await driver.importWrite(partial, 0, Readable.from([randomBytes(100)]), never);
      for (const id of [ready, partial, ready, newId("vol")]) await driver.remove(id, never);
      assert.deepEqual(await driver.list(never), []);
      assert.deepEqual(await (await setup.open()).list(never), []);
    });

    check("refuses ids that the server did not make", async (driver) => {
      for (const id of [
        "../../etc/passwd",
        "vol_",
        "vol_x/../y",
        "ins_01k00000000000000000000000",
        "vol_01K00000000000000000000000",
      ]) {
        await assert.rejects(driver.createBlank(id, 1, 8, never), isSkerryError("invalid-request"));
        await assert.rejects(driver.remove(id, never), isSkerryError("invalid-request"));
        assert.throws(() => driver.attachment(id), isSkerryError("invalid-request"));
      }
    });

    check("says which volume is not there", async (driver) => {
      const id = newId("vol");
      await assert.rejects(driver.read(id, 0, never), isSkerryError("not-found"));
      await assert.rejects(driver.digest(id, never), isSkerryError("not-found"));
      await assert.rejects(driver.grow(id, 10, never), isSkerryError("not-found"));
      await assert.rejects(driver.setEpoch(id, 10, never), isSkerryError("not-found"));
    });

    check("stops at once when its signal is aborted", async (driver, setup) => {
      const gone = AbortSignal.abort(new Error("no longer wanted"));
      await assert.rejects(driver.createFromImage(newId("vol"), 1, await setup.image(), 16, gone), /no longer wanted/);
      assert.deepEqual(
        (await driver.list(never)).filter((file) => file.state === "ready"),
        [],
      );
    });
  });
}
