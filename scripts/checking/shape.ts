import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const maxLines = 400;
const vagueNames = /^(utils?|helpers?|common|manager|misc|stuff|lib)\.|-(utils?|helpers?|manager)\./;
const excuse = /^(\/\/|\/\*\*?|#| \*) ?Long because \S/m;

/** Files too long without a line "Long because ..." among their first five, and files whose name says nothing. */
export function findShapeFaults(root: string): string[] {
  const files = globSync(["{packages,scripts,bench}/**/*.{ts,sh,py}", "skerry", ".ci/run"], {
    cwd: root,
    exclude: ["**/node_modules/**", "scripts/fixtures/**"],
  });
  return files.toSorted().flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").trimEnd().split("\n");
    const faults: string[] = [];
    if (lines.length > maxLines && !excuse.test(lines.slice(0, 5).join("\n"))) {
      faults.push(`${file}: ${lines.length} lines; split it, or say "Long because ..." in its first five lines`);
    }
    if (vagueNames.test(basename(file))) faults.push(`${file}: name it after the one thing it is about`);
    return faults;
  });
}
