// Opens the store that it is given, says so, and keeps it open until it is killed.
import { writeSync } from "node:fs";
import { openSqliteStore } from "@skerry/store";

await openSqliteStore({ path: process.argv[2] ?? "" });
writeSync(1, "open\n");
process.stdin.resume();
