// Runs transactions from many writers at once and writes a line to standard output after each acknowledgement: the
// last revision, and what the transaction put ("+id") and deleted ("-id"). Goes on for ever, or for a number of them.
import { openSqliteStore, type Transaction } from "@skerry/store";
import { instance } from "../contract/samples.ts";

const [path = "", firstSerial = "0", writers = "48", transactions = "Infinity"] = process.argv.slice(2);
const store = await openSqliteStore({ path });
let serial = Number(firstSerial);
let left = Number(transactions);

async function write(): Promise<void> {
  let previous: string | undefined;
  while (left-- > 0) {
    const cause = `write ${serial}`;
    const work = (tx: Transaction): void => {
      for (let count = serial % 3; count >= 0; count--, serial++) tx.put(instance(serial, `i-${serial}`));
      if (previous !== undefined && serial % 2 === 0) tx.delete("Instance", previous);
    };
    const { revision, changes } = await store.transact(work, { actor: { name: "load" }, cause });
    const words = changes.map(({ type, id }) => (type === "deleted" ? "-" : "+") + id);
    previous = words[0]?.slice(1);
    // To a pipe it is a system call before it returns: what was written survives the process.
    process.stdout.write(`${revision} ${words.join(" ")}\n`);
  }
}

await Promise.all(Array.from({ length: Number(writers) }, write));
await store.close();
