import { kinds, type KindName, type ResourceOf } from "@skerry/model";
import { columnTable } from "./columns.ts";
import { paint, widthOf, type Terminal } from "./terminal.ts";
import { shownColumns, tableLines, type Column } from "./table.ts";

export const outputFormats = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** Prints a list of one kind in the chosen format; JSON and YAML give the resources as the API does. */
export async function renderList<K extends KindName>(
  terminal: Terminal,
  kind: K,
  items: readonly ResourceOf<K>[],
  format: OutputFormat,
  nowMs: number,
  everyProject = false,
): Promise<void> {
  if (format !== "table") return renderValue(terminal, items, format);
  if (items.length === 0) {
    terminal.err.write(`No ${kinds[kind].plural.replaceAll("-", " ")}.\n`);
    return;
  }
  // The table's row type is the kind's own; indexing by a type parameter loses that.
  const columns = columnTable(terminal, nowMs, everyProject)[kind] as unknown as readonly Column<ResourceOf<K>>[];
  printLines(
    terminal,
    tableLines(shownColumns(columns, items, widthOf(terminal.out)), items, (text) => paint(terminal.out, "bold", text)),
  );
}

/** Prints one value as YAML (also for `table`, where it reads best) or JSON. */
export async function renderValue(terminal: Terminal, value: unknown, format: OutputFormat): Promise<void> {
  if (format === "json") {
    terminal.out.write(`${JSON.stringify(value, undefined, 2)}\n`);
    return;
  }
  const { stringify } = await import("yaml");
  terminal.out.write(stringify(value, { lineWidth: 0 }));
}

export function printLines(terminal: Terminal, lines: readonly string[]): void {
  terminal.out.write(`${lines.join("\n")}\n`);
}
