import { globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { checkout, tool } from "../checkout.ts";
import { findViolations } from "./boundaries.ts";
import { runCommand } from "./command.ts";

const fixtures = join(checkout, "scripts", "fixtures");

/** What the boundary rules miss, or refuse wrongly, in code that breaks them on purpose; empty when they bite. */
export function proveBoundaries(): string[] {
  const root = join(fixtures, "boundaries");
  const refused = findViolations(root).map(({ file, line }) => `${file}:${line}`);
  return compare("boundaries", new Set(refused), markedLines(root, /\brefused\b/));
}

/** The same for the linter's rules, import cycles among them: each marked line names the rule that must refuse it. */
export async function proveLint(signal: AbortSignal): Promise<string[]> {
  const root = join(fixtures, "lint");
  const argv = ["--type-aware", "--config", join(root, "rules.json"), "--format", "json", root];
  const { output, stdout } = await runCommand(tool("oxlint"), argv, signal);
  if (!stdout.startsWith("{")) return [`lint: oxlint gave no report:\n${output}`];
  const { diagnostics } = JSON.parse(stdout) as LintReport;
  const refused = diagnostics.map(({ filename, labels, code }) => {
    return `${relative(root, join(checkout, filename))}:${labels[0]?.span.line ?? 0} ${code}`;
  });
  return compare("lint", new Set(refused), markedLines(root, /\/\/ refused: (\S+)/));
}

type LintReport = {
  readonly diagnostics: readonly {
    readonly filename: string;
    readonly code: string;
    readonly labels: readonly { readonly span: { readonly line: number } }[];
  }[];
};

/** `file:line` of each marked line, followed by the mark's own words where it has any. */
function markedLines(root: string, mark: RegExp): Set<string> {
  const files = globSync("**/*.{ts,json}", { cwd: root });
  return new Set(
    files.flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((text, index) => {
          const match = mark.exec(text);
          if (match === null) return [];
          return [`${file}:${index + 1}${match[1] === undefined ? "" : ` ${match[1]}`}`];
        }),
    ),
  );
}

function compare(name: string, refused: ReadonlySet<string>, marked: ReadonlySet<string>): string[] {
  if (marked.size === 0) return [`${name}: no line of the fixture is marked, so nothing is proved`];
  return [
    ...[...marked.difference(refused)].map((place) => `${name}: not refused, though it breaks a rule: ${place}`),
    ...[...refused.difference(marked)].map((place) => `${name}: refused, though it breaks no rule: ${place}`),
  ];
}
