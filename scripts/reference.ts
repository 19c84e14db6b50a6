import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeApi, describeUndo } from "@skerry/server";
import { checkout } from "./checkout.ts";
import { apiPage } from "./referencing/api-page.ts";
import { errorsPage } from "./referencing/errors-page.ts";
import { kindsPage } from "./referencing/kinds-page.ts";
import { undoPage } from "./referencing/undo-page.ts";

const usage = `Usage: node scripts/reference.ts [--check]

Writes docs/reference/ from the schemas, the error catalogue, the rules of undo and the API's table of routes.

  --check   write nothing, fail where a page is not what would be written`;

const folder = join(checkout, "docs", "reference");

function pages(): ReadonlyMap<string, string> {
  const manifest = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { version: string };
  const api = describeApi(manifest.version);
  return new Map([
    ["api.md", apiPage(api)],
    ["errors.md", errorsPage()],
    ["kinds.md", kindsPage()],
    ["undo.md", undoPage(describeUndo())],
    ["openapi.json", `${JSON.stringify(api.document, undefined, 1)}\n`],
  ]);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // A page that is not there differs from what would be written.
    return undefined;
  }
}

function main(): number {
  const { values } = parseArgs({ options: { check: { type: "boolean" }, help: { type: "boolean", short: "h" } } });
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const stale = [...pages()].filter(([name, text]) => read(join(folder, name)) !== text);
  if (values.check === true) {
    for (const [name] of stale) process.stdout.write(`docs/reference/${name} is out of date\n`);
    if (stale.length > 0) process.stdout.write("Write them anew: ./skerry check --fix\n");
    return stale.length === 0 ? 0 : 1;
  }
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of stale) {
    writeFileSync(join(folder, name), text);
    process.stdout.write(`wrote docs/reference/${name}\n`);
  }
  return 0;
}

process.exitCode = main();
