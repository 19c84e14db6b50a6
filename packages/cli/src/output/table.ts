import { stripVTControlCharacters } from "node:util";
import { printable } from "./terminal.ts";

/** One column: its title, and the cell of a row; `right` aligns numbers. */
export interface Column<T> {
  readonly title: string;
  cell(row: T): string;
  readonly align?: "left" | "right";
  /** Where the terminal is too narrow for all columns, the one with the least number is left out first; without one it stays. */
  readonly drop?: number;
  /** Left out where no row has anything in it but `-`. */
  readonly sparse?: boolean;
}

/** The columns that have something to show, as many as fit into a width. */
export function shownColumns<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): readonly Column<T>[] {
  let shown = columns.filter((column) => column.sparse !== true || rows.some((row) => column.cell(row) !== "-"));
  if (width === undefined) return shown;
  const widths = new Map(
    shown.map((column) => [
      column,
      widthOfColumn(
        column,
        rows.map((row) => column.cell(row)),
      ),
    ]),
  );
  const needed = (): number => shown.reduce((sum, column) => sum + (widths.get(column) ?? 0) + 2, -2);
  const droppable = shown.filter(({ drop }) => drop !== undefined).toSorted((a, b) => (a.drop ?? 0) - (b.drop ?? 0));
  for (const column of droppable) {
    if (needed() <= width) break;
    shown = shown.filter((other) => other !== column);
  }
  return shown;
}

function widthOfColumn<T>(column: Column<T>, cells: readonly string[]): number {
  return Math.max(column.title.length, ...cells.map((cell) => widthOf(printable(cell))));
}

/** Lines of an aligned table, titles first; cells may hold colours. No trailing spaces. */
export function tableLines<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  title: (text: string) => string = (text) => text,
): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const widths = columns.map((column, index) =>
    widthOfColumn(
      column,
      cells.map((line) => line[index] ?? ""),
    ),
  );
  const join = (line: readonly string[], paint: (text: string) => string) =>
    line
      .map((text, index) => {
        const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)));
        const last = index === line.length - 1;
        if (columns[index]?.align === "right") return padding + paint(text);
        return paint(text) + (last ? "" : padding);
      })
      .join("  ")
      .trimEnd();
  return [
    join(
      columns.map((column) => column.title),
      title,
    ),
    ...cells.map((line) => join(line, (text) => text)),
  ];
}

function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
