import type { UndoAnswer } from "@skerry/server";
import { markdownTable } from "./table.ts";

/** What of each kind can be taken back. */
export function undoPage(answers: readonly UndoAnswer[]): string {
  const rows = answers.map(({ kind, verb, way, remarks }) => [
    kind,
    `\`${verb}\``,
    way === undefined ? "**never**" : way,
    remarks.join("; "),
  ]);
  return `# What undo takes back

Of each kind's verbs: what \`skerry undo\` does about it, and where it can't, why. How it works is in [undo](../undo.md).

${markdownTable(["kind", "verb", "undone", "but"], rows)}
`;
}
