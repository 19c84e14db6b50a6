import { stripVTControlCharacters } from "node:util";
import { printable } from "./terminal.ts";

/** One column: its title, and the cell of a row; `right` aligns numbers. */
export interface Column<T> {
  readonly title: string;
  cell(row: T): string;
  readonly align?: "left" | "right";
  /** Left out where no row has anything in it but `-`. */
  readonly sparse?: boolean;
}

/** The columns that have something to show. */
export function filledColumns<T>(columns: readonly Column<T>[], rows: readonly T[]): readonly Column<T>[] {
  return columns.filter((column) => column.sparse !== true || rows.some((row) => column.cell(row) !== "-"));
}

/** Lines of an aligned table, titles first; cells may hold colours. No trailing spaces. */
export function tableLines<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  title: (text: string) => string = (text) => text,
): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => widthOf(line[index] ?? ""))),
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
