import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { openDirectoryVolumes } from "../../src/drivers/volume/directory.ts";
import { newId } from "../contract/ids.ts";
import { volumeDriverContract } from "../contract/volume-contract.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const never = new AbortController().signal;

describe("with qemu-img", () => {
  volumeDriverContract("the directory volume driver", async () => {
    const folder = await temporaryFolder();
    return {
      open: () => openDirectoryVolumes(join(folder.path, "volumes")),
      async image() {
        const path = join(folder.path, "image.qcow2");
        const raw = join(folder.path, "image.raw");
        await writeFile(raw, Buffer.alloc(1_048_576, "skerry "));
        execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, path]);
        return { path, format: "qcow2" };
      },
      close: () => folder.remove(),
    };
  });

  test("refuses images that refer to other files of the node, and leaves nothing", async () => {
    await using folder = await temporaryFolder();
    const secret = join(folder.path, "secret.raw");
    await writeFile(secret, Buffer.alloc(1_048_576, "secret "));
    const backed = join(folder.path, "backed.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", backed]);
    const external = join(folder.path, "external.qcow2");
    const data = join(folder.path, "data.raw");
    execFileSync("qemu-img", [
      "create",
      "-q",
      "-f",
      "qcow2",
      "-o",
      `data_file=${data},data_file_raw=on`,
      external,
      "1M",
    ]);
    const volumes = await openDirectoryVolumes(join(folder.path, "volumes"));
    for (const path of [backed, external]) {
      await assert.rejects(
        volumes.createFromImage(newId("vol"), 1, { path, format: "qcow2" }, 16, never),
        (error) =>
          error instanceof SkerryError &&
          error.code === "invalid-request" &&
          /refers to another file/.test(error.message),
      );
    }
    assert.ok((await volumes.list(never)).every((file) => file.state === "partial"));
  });

  test("refuses a disk of another node that refers to a file of this one", async () => {
    await using folder = await temporaryFolder();
    const secret = join(folder.path, "secret.raw");
    await writeFile(secret, Buffer.alloc(1_048_576, "secret "));
    const backed = join(folder.path, "backed.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", backed]);
    const bytes = await readFile(backed);
    const volumes = await openDirectoryVolumes(join(folder.path, "volumes"));
    const id = newId("vol");
    await volumes.importOffset(id, 2, never);
    await volumes.importWrite(id, 0, Readable.from([bytes]), never);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await assert.rejects(volumes.importComplete(id, digest, never), /refers to another file/);
    assert.throws(() => volumes.attachment(id), SkerryError);
    await volumes.remove(id, never);
    assert.deepEqual(await volumes.list(never), []);
  });

  test("opens a file only as the format that was declared", async () => {
    await using folder = await temporaryFolder();
    const secret = join(folder.path, "secret.raw");
    await writeFile(secret, Buffer.alloc(1_048_576, "secret "));
    const backed = join(folder.path, "backed.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", backed]);
    const volumes = await openDirectoryVolumes(join(folder.path, "volumes"));
    const id = newId("vol");
    await volumes.createFromImage(id, 1, { path: backed, format: "raw" }, 16, never);
    const { path } = volumes.attachment(id);
    const info = JSON.parse(
      execFileSync("qemu-img", ["info", "--output=json", "-f", "qcow2", path], { encoding: "utf8" }),
    ) as object;
    assert.ok(!("backing-filename" in info));
    await assert.rejects(
      volumes.createFromImage(newId("vol"), 1, { path: secret, format: "qcow2" }, 16, never),
      SkerryError,
    );
  });

  test("refuses an image that is larger than the volume, and says how much it needs", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "large.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", path, "64M"]);
    const volumes = await openDirectoryVolumes(join(folder.path, "volumes"));
    await assert.rejects(
      volumes.createFromImage(newId("vol"), 1, { path, format: "qcow2" }, 16, never),
      /needs a disk of 64 MiB/,
    );
  });
});
