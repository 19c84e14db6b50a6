import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { isDiskFull } from "../../src/disk-full.ts";
import { openJournal } from "../../src/journal/journal.ts";
import { eventually } from "../contract/deadline.ts";
import { newId } from "../contract/ids.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { onlyNode, openWorld } from "../gateway/world.ts";
import { wantedInstance, wantedVolume, wish } from "../gateway/wishes.ts";
import { enterOwnNamespaces } from "./own-namespaces.ts";

enterOwnNamespaces(import.meta.url, []);

/** A disk of a few MiB, so that it can be filled; it goes with these namespaces. */
const disk = "/run/small";
execFileSync("mkdir", [disk]);
execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
process.env["TMPDIR"] = disk;
const filler = `${disk}/filler`;
const fill = () => assert.rejects(writeFile(filler, Buffer.alloc(9 * 1024 * 1024)), isDiskFull);
const free = () => rm(filler, { force: true });

describe("on a disk that is really full", { concurrency: false }, () => {
  test("the journal says so, and once there is space it keeps the same wish with its epochs", async () => {
    await using folder = await temporaryFolder();
    const volume = wantedVolume({ epoch: 7 });
    const wanted = wish(newId("nod"), {
      volumes: [volume],
      instances: [wantedInstance(volume.id, { epoch: 7, userData: "x".repeat(60_000) })],
    });
    {
      using journal = openJournal(folder.path);
      await fill();
      assert.throws(() => journal.accept(wanted), isDiskFull);
      assert.deepEqual([journal.wanted(), journal.volume(volume.id).epoch], [undefined, 0]);
      await free();
      assert.equal(journal.accept(wanted), true);
    }
    using journal = openJournal(folder.path);
    assert.deepEqual([journal.wanted(), journal.volume(volume.id).epoch], [wanted, 7]);
  });

  test("an agent tells of what it can't take on, and takes it on by itself once there is space", async () => {
    await using world = await openWorld(1);
    const node = onlyNode(world);
    node.want({});
    await eventually("it knows a wish", () => (node.observed?.wantedRevision ?? 0) > 0);
    await fill();
    const volume = wantedVolume();
    const guest = wantedInstance(volume.id, { userData: "x".repeat(60_000) });
    node.want({ volumes: [volume], instances: [guest] });
    const told = () => node.observed?.instances.find(({ id }) => id === guest.id);
    await eventually("it says that its disk is full", () => told()?.errorCode === "storage-full");
    assert.equal(told()?.state, "pending");
    await free();
    await eventually("the guest runs", () => node.instance(guest.id)?.state === "running", 90_000);
    assert.equal(told()?.errorCode, undefined);
  });
});
