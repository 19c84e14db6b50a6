/*
 * What provisioning expects of an agent's command line, and nothing else: it joins with a token from standard input, and
 * runs with a child that must outlive it. It counts what it did in /var/lib/skerry/count.
 */
const standIn = `
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
const [verb, flag, file, tokenFlag] = process.argv.slice(2);
const fail = (words) => { console.error(words); process.exit(1); };
if (flag !== "--config") fail("no --config");
const config = JSON.parse(readFileSync(file, "utf8"));
mkdirSync("/var/lib/skerry", { recursive: true });
if (verb === "join") {
  if (tokenFlag !== "--token-stdin") fail("no --token-stdin");
  const token = readFileSync(0, "utf8").trim();
  if (token === "refused") fail("the server refuses the token " + token);
  appendFileSync("/var/lib/skerry/count", "join " + token + "\\n");
  writeFileSync("/var/lib/skerry/identity.json", JSON.stringify({ nodeName: config.nodeName, server: config.serverUrl }));
} else {
  if (EXIT) fail("cannot go on like this");
  const child = spawn("sleep", ["infinity"], { stdio: "ignore", detached: true });
  appendFileSync("/var/lib/skerry/count", "run " + child.pid + "\\n");
  setInterval(() => undefined, 1e6);
}
`;

/** @param exits whether it ends as soon as it is started */
export function standInAgent({
  exits = false,
  version = 1,
}: { readonly exits?: boolean; readonly version?: number } = {}): string {
  return `// ${version}\n${standIn.replace("EXIT", String(exits))}`;
}
