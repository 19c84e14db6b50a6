import assert from "node:assert/strict";
import { access, readdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { runProgram } from "../src/drivers/run-program.ts";
import { VolumeFolder } from "../src/drivers/volume/volume-folder.ts";
import { newId } from "./contract/ids.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;
const isFull = (error: unknown): boolean =>
  error instanceof SkerryError && error.code === "storage-full" && error.remedy !== undefined;
/** A device that is always full, so that real programs say what they say then. */
const hasFull = await access("/dev/full").then(
  () => true,
  () => false,
);
const fillDisk = () => runProgram(["dd", "if=/dev/zero", "of=/dev/full", "count=1"], never);

describe("a full disk", { skip: hasFull ? false : "needs /dev/full" }, () => {
  test("is told as such where a program stumbles over it", async () => {
    await assert.rejects(fillDisk(), isFull);
    await assert.rejects(runProgram(["dd", "if=/nowhere", "of=/dev/null"], never), (error) => !isFull(error));
  });

  test("that stops a volume's creation names the volume and the remedy, and the draft gives its space back", async () => {
    await using folder = await temporaryFolder();
    const volumes = await VolumeFolder.open(folder.path, "qcow2", async () => undefined);
    const id = newId("vol");
    const making = volumes.create(
      id,
      1,
      async (draft) => {
        await runProgram(["dd", "if=/dev/zero", `of=${draft}`, "count=8"], never);
        await fillDisk();
      },
      never,
    );
    await assert.rejects(making, (error) => isFull(error) && error instanceof Error && error.message.includes(id));
    assert.deepEqual(await readdir(folder.path), [`${id}.epoch`]);
  });
});
