// Mounts a 1 MiB file system where it is told (its mount namespace is its own), fills it through a store, makes room
// and goes on; prints what it saw as JSON.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import { openSqliteStore } from "@skerry/store";
import { instance } from "../contract/samples.ts";

const folder = process.argv[2] ?? "";
execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
const ballast = join(folder, "ballast");
writeFileSync(ballast, Buffer.alloc(400_000));

const path = join(folder, "store.db");
const store = await openSqliteStore({ path });
const codes = new Set<string>();
let acknowledged = 0;
for (let serial = 0; codes.size === 0; serial += 20) {
  const batch = Array.from({ length: 20 }, (_, index) =>
    store.transact((tx) => tx.put(instance(serial + index, `i-${serial + index}`))),
  );
  for (const outcome of await Promise.allSettled(batch)) {
    if (outcome.status === "fulfilled") acknowledged++;
    else codes.add(outcome.reason instanceof SkerryError ? outcome.reason.code : String(outcome.reason));
  }
}
const listedWhenFull = store.list("Instance").length;
rmSync(ballast);
const { revision } = await store.transact((tx) => tx.put(instance(1_000_000, "after")));
await store.close();
const again = await openSqliteStore({ path });
const listedInTheEnd = again.list("Instance").length;
await again.close();
process.stdout.write(JSON.stringify({ codes: [...codes], acknowledged, listedWhenFull, revision, listedInTheEnd }));
