import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SkerryError } from "@skerry/model";
import { openJournal } from "../src/journal/journal.ts";
import { newId } from "./contract/ids.ts";
import { wantedInstance, wantedVolume, wish } from "./gateway/wishes.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("the journal keeps the newest wish and ignores an older one", async () => {
  await using folder = await temporaryFolder();
  const nodeId = newId("nod");
  const [older, newer] = [wish(nodeId), wish(nodeId, { volumes: [wantedVolume()] })];
  {
    using journal = openJournal(folder.path);
    assert.equal(journal.wanted(), undefined);
    assert.equal(journal.accept(newer), true);
    assert.equal(journal.accept(older), false);
    assert.equal(journal.accept(newer), true, "the same again is no fault");
  }
  using journal = openJournal(folder.path);
  for (const name of await readdir(folder.path)) {
    assert.equal((await stat(join(folder.path, name))).mode & 0o777, 0o600, `${name} holds user data`);
  }
  assert.deepEqual(journal.wanted(), newer);
  assert.equal(journal.accept(older), false);
});

test("the journal keeps the highest epoch that was ever ordered, also of what is no longer mentioned", async () => {
  await using folder = await temporaryFolder();
  const nodeId = newId("nod");
  const disk = wantedVolume({ epoch: 7 });
  const guest = wantedInstance(disk.id, { epoch: 7, rebootGeneration: 3 });
  {
    using journal = openJournal(folder.path);
    journal.accept(wish(nodeId, { volumes: [disk], instances: [guest] }));
    journal.accept(
      wish(nodeId, { volumes: [{ ...disk, epoch: 5 }], instances: [{ ...guest, epoch: 5, rebootGeneration: 4 }] }),
    );
    journal.accept(wish(nodeId));
  }
  using journal = openJournal(folder.path);
  assert.equal(journal.volume(disk.id).epoch, 7);
  assert.equal(journal.instance(guest.id).epoch, 7);
  assert.equal(journal.instance(guest.id).rebootGeneration, 3, "reboots from before it came here are not done again");
});

test("a record's fields are changed and removed one by one, and survive", async () => {
  await using folder = await temporaryFolder();
  const id = newId("vol");
  {
    using journal = openJournal(folder.path);
    journal.changeVolume(id, { made: true, digest: "sha256:x" });
    journal.changeVolume(id, { digest: undefined, sizeMiB: 9 });
  }
  using journal = openJournal(folder.path);
  assert.deepEqual(journal.volume(id), { epoch: 0, made: true, mismatches: 0, sizeMiB: 9 });
});

test("a second agent over the same folder is refused, and says what to do", async () => {
  await using folder = await temporaryFolder();
  using journal = openJournal(folder.path);
  assert.throws(
    () => openJournal(folder.path),
    (error) => error instanceof SkerryError && error.code === "in-use" && /systemctl stop/.test(error.remedy ?? ""),
  );
  assert.equal(journal.wanted(), undefined);
});

test("a wish that can't be read is told of, and everything else the journal knows stays", async () => {
  await using folder = await temporaryFolder();
  const disk = wantedVolume({ epoch: 3 });
  {
    using journal = openJournal(folder.path);
    journal.accept(wish(newId("nod"), { volumes: [disk] }));
  }
  change(folder.path, "UPDATE wanted SET body = '{}'");
  const remarks: string[] = [];
  using journal = openJournal(folder.path, { warn: (_facts, message) => void remarks.push(message) });
  assert.equal(journal.wanted(), undefined);
  assert.match(remarks.join(), /last wish in the journal can't be read/);
  assert.equal(journal.volume(disk.id).epoch, 3);
});

test("a record that can't be read is refused by its name, with what to do, and the journal is let go of", async () => {
  await using folder = await temporaryFolder();
  const disk = wantedVolume({ epoch: 3 });
  {
    using journal = openJournal(folder.path);
    journal.accept(wish(newId("nod"), { volumes: [disk] }));
  }
  change(folder.path, 'UPDATE volumes SET body = \'{"epoch":4,"later":true}\'');
  assert.throws(
    () => openJournal(folder.path),
    (error) =>
      error instanceof SkerryError && error.message.includes(disk.id) && /sqlite3 .*DELETE/.test(error.remedy ?? ""),
  );
  change(folder.path, "DELETE FROM volumes");
  using journal = openJournal(folder.path);
  assert.equal(journal.volume(disk.id).epoch, 0);
});

function change(folder: string, sql: string): void {
  const db = new DatabaseSync(join(folder, "journal.db"));
  db.exec(sql);
  db.close();
}
