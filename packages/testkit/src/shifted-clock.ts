// Loaded into a server's process by tests, before all else: its wall clock is off by what stands in a file, which is read
// at the start and at each SIGUSR2. Timers and `performance.now()` go on as they are.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.env["SKERRY_TEST_CLOCK"] ?? "";
const realNow = Date.now;
let offsetMs = 0;

function read(): void {
  try {
    const text = readFileSync(file, "utf8");
    offsetMs = Number(text);
    writeFileSync(`${file}.seen`, text);
  } catch {
    offsetMs = 0; // Nobody has set it yet.
  }
}

read();
process.on("SIGUSR2", read);
Date.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, args: ConstructorParameters<DateConstructor> | [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget) as Date,
});
