import type {
  Explanation,
  PlacementChoice,
  PlacementExplanation,
  PlacementSimulation,
  ScoreParts,
  SimulatedPlacement,
} from "@skerry/model";
import { shownColumns, tableLines, type Column } from "./table.ts";

/** How words are coloured; the words themselves where nothing is. */
export interface Paint {
  readonly title: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly faint: (text: string) => string;
}

export const unpainted: Paint = { title: plain, good: plain, bad: plain, faint: plain };

function plain(text: string): string {
  return text;
}

/** The decision as it was made, then as it would be made now: never one for the other. */
export function explanationLines({ instance, decided, now }: PlacementExplanation, paint: Paint): string[] {
  const { decision, explanation } = decided;
  const place =
    decided.node === undefined
      ? `a node at ${decided.site ?? "a site that is gone"}`
      : `${decided.node} at ${decided.site ?? "?"}`;
  const lines = [
    paint.title(`${instance.project}/${instance.name} is on ${place}, since ${decided.at}`),
    ...(decided.reason === undefined ? [] : [`  ${decided.reason}`]),
    "",
    paint.title(explanation === undefined ? "AS IT WAS DECIDED: what was kept" : "AS IT WAS DECIDED: replayed"),
    `  ${paint.faint(decided.why)}`,
  ];
  if (explanation !== undefined) lines.push(...wholeLines(explanation, paint));
  else if (decision !== undefined) {
    const { considered, fitting, parts } = decision;
    const fitted = fitting === undefined ? "" : `, ${fitting} of them fitted`;
    lines.push(`  ${considered} nodes${fitted}; score ${number(sumOf(parts))}: ${partWords(parts)}`);
  }
  const verdict = now.stays ? paint.good("it would go there again") : paint.bad("it would go elsewhere");
  lines.push("", `${paint.title(`AS IT WOULD BE DECIDED NOW (revision ${now.revision}):`)} ${verdict}`);
  lines.push(...wholeLines(now.explanation, paint));
  return lines;
}

function wholeLines(
  { considered, fitting, chosen, alternatives, refusals, changes }: Explanation,
  paint: Paint,
): string[] {
  const indent = (rows: readonly string[]): string[] => rows.map((row) => `  ${row}`);
  const lines = [`  ${fitting} of ${considered} nodes fit`];
  if (chosen !== undefined) {
    const rows = [
      { ...chosen, why: paint.good("chosen") },
      ...alternatives.map((one) => ({ ...one, why: one.sentence })),
    ];
    lines.push("", ...indent(table(choiceColumns, rows, paint)));
  }
  if (refusals.length > 0) {
    const columns: readonly Column<Explanation["refusals"][number]>[] = [
      { title: "WHY NOT", cell: ({ reason }) => paint.bad(reason) },
      { title: "NODES", align: "right", cell: ({ nodes }) => String(nodes) },
      { title: "ASKED", cell: ({ asked }) => asked },
      {
        title: "LEAST CHANGE",
        cell: ({ nearest }) => (nearest === undefined ? "-" : `${nearest.advice} (opens ${nearest.opens})`),
      },
    ];
    lines.push("", ...indent(tableLines(columns, refusals, paint.title)));
  }
  lines.push("", `  ${paint.title("WHAT WOULD CHANGE IT")}`);
  if (changes.length === 0) lines.push("  No single thing asked otherwise would.");
  for (const { sentence, node, site } of changes)
    lines.push(`  ${sentence} ${paint.faint(`(${node === undefined ? site : `${node} at ${site}`})`)}`);
  return lines;
}

const choiceColumns: readonly Column<PlacementChoice & { readonly why: string }>[] = [
  { title: "NODE", cell: ({ node }) => node ?? "-", sparse: true },
  { title: "SITE", cell: ({ site }) => site },
  { title: "SCORE", align: "right", cell: ({ score }) => number(score) },
  { title: "OF WHICH", cell: ({ parts }) => partWords(parts) },
  { title: "WHY", cell: ({ why }) => why },
];

/** What was asked of a fleet that is otherwise, line by line, and the sums. */
export function simulationLines(
  { revision, nodes, changes, placements, totals }: PlacementSimulation,
  paint: Paint,
): string[] {
  const lines = [
    paint.title(`${nodes.now} nodes at revision ${revision}, ${nodes.changed} with the changes; nothing was changed`),
    ...changes.map(({ sentence, nodes: touched }) => `  ${sentence}: ${touched} ${touched === 1 ? "node" : "nodes"}`),
    "",
  ];
  const columns: readonly Column<PlacementSimulation["placements"][number]>[] = [
    { title: "INSTANCE", cell: ({ project, name }) => `${project}/${name}` },
    { title: "IS ON", sparse: true, cell: ({ present }) => present?.node ?? present?.site ?? "-" },
    { title: "NOW", cell: ({ now }) => outcomeWords(now) },
    { title: "WITH THE CHANGES", cell: ({ changed }) => outcomeWords(changed) },
    {
      title: "EFFECT",
      cell: ({ effect }) => (effect === "lost" ? paint.bad(effect) : effect === "gained" ? paint.good(effect) : effect),
    },
  ];
  if (placements.length === 0) lines.push("No instance was asked for.");
  else lines.push(...table(columns, placements, paint));
  for (const { project, name, changed } of placements)
    if (changed.reason !== undefined) lines.push(`${project}/${name}: ${changed.reason}`);
  const { same, elsewhere, lost, gained } = totals;
  lines.push(`${same} the same, ${elsewhere} elsewhere, ${lost} lost, ${gained} gained`);
  return lines;
}

function outcomeWords({ outcome, choice }: SimulatedPlacement): string {
  if (outcome === "refused" || choice === undefined) return "no node fits";
  return choice.node === undefined ? choice.site : `${choice.node} (${choice.site})`;
}

function table<T>(columns: readonly Column<T>[], rows: readonly T[], { title }: Paint): string[] {
  return tableLines(shownColumns(columns, rows, undefined), rows, title);
}

function partWords(parts: ScoreParts): string {
  const words = Object.entries(parts).map(([part, value]) => `${part} ${number(value)}`);
  return words.length === 0 ? "nothing" : words.join(", ");
}

function sumOf(parts: ScoreParts): number {
  return Object.values(parts).reduce((sum, value) => sum + value, 0);
}

function number(value: number): string {
  return String(Number(value.toPrecision(3)));
}
