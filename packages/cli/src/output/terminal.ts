import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Where a command prints: results to `out`, everything said about the work to `err`. */
export interface Terminal {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  /** True where `err` is a terminal that can redraw lines. */
  readonly live: boolean;
}

export function openTerminal(): Terminal {
  return {
    out: process.stdout,
    err: process.stderr,
    live: process.stderr.isTTY && process.env["TERM"] !== "dumb" && process.env["CI"] === undefined,
  };
}

/** Columns of a terminal; undefined where the text goes elsewhere, and may be as wide as it is. */
export function widthOf(stream: NodeJS.WriteStream): number | undefined {
  return stream.isTTY ? stream.columns : undefined;
}

/** Colours text where the stream is a terminal and NO_COLOR is not set. */
export function paint(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return styleText(style, text, { stream, validateStream: true });
}

/** What tenants, nodes and hosts wrote must not steer the terminal: control characters but colours of our own are dropped. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is removed
  return text.replace(/[\u0000-\u001a\u001c-\u001f\u007f-\u009f]/g, " ").replace(/\u001b(?!\[[0-9;]*m)/g, "");
}
