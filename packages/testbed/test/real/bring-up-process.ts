// A process that a test may kill: brings the testbed up and prints each progress event as one line of JSON.
import { bringUp, defaultTestbedOptions } from "../../src/index.ts";

const [stateDir, cacheDir, providers] = process.argv.slice(2);
if (stateDir === undefined || cacheDir === undefined)
  throw new TypeError("usage: bring-up-process STATE_DIR CACHE_DIR PROVIDERS");
await bringUp({ ...defaultTestbedOptions, stateDir, cacheDir, providers: Number(providers) }, (event) =>
  console.log(JSON.stringify(event)),
);
console.log(JSON.stringify({ step: "finished" }));
