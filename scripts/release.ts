import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "./checkout.ts";

const usage = `Usage: ./skerry release VERSION

Prepares release VERSION, such as 0.2.0, which the package.json files have to name already: writes what later versions are tested
against into packages/cli/test/releases/vVERSION (a server's and a node's data, what the API said of them, the agent's bundle),
runs that test, and says what is left to do.`;

const [version = ""] = process.argv.slice(2);
if (!/^\d+\.\d+\.\d+$/.test(version)) {
  process.stderr.write(`${usage}\n`);
  process.exit(version === "--help" ? 0 : 2);
}
const named = (JSON.parse(readFileSync(join(checkout, "packages/cli/package.json"), "utf8")) as { version: string })
  .version;
const folder = `packages/cli/test/releases/v${version}`;
const refusal =
  named !== version
    ? `The package.json files name version ${named}: change them first.`
    : existsSync(join(checkout, folder))
      ? `${folder} is there already: a release is never made anew.`
      : undefined;
if (refusal !== undefined) {
  process.stderr.write(`${refusal}\n`);
  process.exit(1);
}
const node = (...argv: readonly string[]): void => {
  execFileSync(process.execPath, [...process.execArgv, ...argv], { cwd: checkout, stdio: "inherit" });
};
node("packages/cli/test/releases/release-child.ts", join(checkout, folder));
node("--test", "packages/cli/test/releases.test.ts");
process.stdout.write(`
Left to do, once this is merged and CI is green:
  git add ${folder} && git commit -m "release: keep what later versions are tested against, of ${version}"
  git tag -a v${version} -m "Skerry ${version}" && git push origin v${version}
`);
