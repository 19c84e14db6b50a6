// Runs transactions from many writers at once, for ever, and writes a line to standard output after each
// acknowledgement: the last revision, and what the transaction put ("+id") and deleted ("-id").
import { writeSync } from "node:fs";
import { openSqliteStore } from "@skerry/store";
import { instance } from "../contract/samples.ts";

const [path = "", firstSerial = "0", writers = "48"] = process.argv.slice(2);
const store = await openSqliteStore({ path });
let serial = Number(firstSerial);

async function write(): Promise<never> {
  let previous: string | undefined;
  for (;;) {
    const { revision, changes } = await store.transact((tx) => {
      for (let count = serial % 3; count >= 0; count--, serial++) tx.put(instance(serial, `i-${serial}`));
      if (previous !== undefined && serial % 2 === 0) tx.delete("Instance", previous);
    });
    const words = changes.map(({ type, id }) => (type === "deleted" ? "-" : "+") + id);
    previous = words[0]?.slice(1);
    writeSync(1, `${revision} ${words.join(" ")}\n`);
  }
}

await Promise.all(Array.from({ length: Number(writers) }, write));
