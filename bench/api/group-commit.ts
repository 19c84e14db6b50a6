import { DatabaseSync } from "node:sqlite";
import { userData } from "./fixture.ts";

/**
 * What bare SQLite commits durably when `perCommit` writers share each commit: single writes a second, each an object's row of
 * 1 KB and its row of the log, as the store writes them.
 */
export function measureGroupCommit(path: string, perCommit: number, milliseconds: number): number {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  db.exec("CREATE TABLE objects (id TEXT NOT NULL PRIMARY KEY, name TEXT, revision INTEGER, body TEXT)");
  db.exec("CREATE TABLE changes (revision INTEGER PRIMARY KEY, id TEXT, name TEXT, body TEXT)");
  const put = db.prepare(
    `INSERT INTO objects (id, name, revision, body) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, revision = excluded.revision, body = excluded.body`,
  );
  const log = db.prepare("INSERT INTO changes (revision, id, name, body) VALUES (?, ?, ?, ?)");
  const body = JSON.stringify({ padding: "x".repeat(1000 - userData.length), userData });
  try {
    let revision = 0;
    const start = performance.now();
    while (performance.now() < start + milliseconds) {
      db.exec("BEGIN IMMEDIATE");
      for (let count = 0; count < perCommit; count++) {
        const id = `ins_${String(++revision).padStart(26, "0")}`;
        put.run(id, `web-${revision}`, revision, body);
        log.run(revision, id, `web-${revision}`, body);
      }
      db.exec("COMMIT");
    }
    return Math.round((revision / (performance.now() - start)) * 1000);
  } finally {
    db.close();
  }
}
