import { stripVTControlCharacters } from "node:util";
import { paint, printable, type Terminal } from "./terminal.ts";
import { formatBytes, formatDuration } from "./duration.ts";

/** One line of live progress. */
export interface ProgressLine {
  readonly label: string;
  readonly state: "waiting" | "running" | "done" | "failed" | "skipped";
  readonly message?: string | undefined;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
  readonly unit?: "bytes" | "items" | undefined;
  readonly elapsedMs?: number | undefined;
}

/** Shows lines that change in place on a terminal; elsewhere each line once, when it ends. */
export interface Progress {
  update(lines: readonly ProgressLine[]): void;
  /** Leaves the last state on the screen. */
  finish(): void;
}

export function openProgress(terminal: Terminal): Promise<Progress> {
  return terminal.live ? liveProgress(terminal) : Promise.resolve(plainProgress(terminal));
}

async function liveProgress(terminal: Terminal): Promise<Progress> {
  const { createLogUpdate } = await import("log-update");
  const draw = createLogUpdate(terminal.err, { showCursor: true });
  let lines: readonly ProgressLine[] = [];
  let frame = 0;
  const render = () => draw(lines.map((line) => formatLine(terminal, line, frame)).join("\n"));
  const timer = setInterval(() => {
    frame += 1;
    render();
  }, 120);
  timer.unref();
  return {
    update: (next) => {
      lines = next;
      render();
    },
    finish: () => {
      clearInterval(timer);
      render();
      draw.done();
    },
  };
}

function plainProgress(terminal: Terminal): Progress {
  const printed = new Set<string>();
  return {
    update: (lines) => {
      for (const [index, line] of lines.entries()) {
        const key = `${index} ${line.label}`;
        if (printed.has(key) || line.state === "waiting" || line.state === "running") continue;
        printed.add(key);
        terminal.err.write(`${formatLine(terminal, line, 0)}\n`);
      }
    },
    finish: () => undefined,
  };
}

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;

/** One progress line as text: mark, label, bar or message, time. */
function formatLine(terminal: Terminal, line: ProgressLine, frame: number): string {
  const mark = markOf(terminal, line.state, frame);
  const time = line.elapsedMs === undefined ? "" : paint(terminal.err, "dim", formatDuration(line.elapsedMs));
  const bar =
    line.state === "running" && line.done !== undefined && line.total
      ? ` ${barOf(terminal, line.done, line.total)} ${amount(line)}`
      : "";
  const text = (message: string): string => {
    const shown = message === "" ? "" : ` ${paint(terminal.err, "dim", message)}`;
    return `${mark} ${line.label.padEnd(28)}${bar}${shown}${time === "" ? "" : `  ${time}`}`;
  };
  const message = printable(line.message ?? "");
  if (!terminal.live) return text(message);
  // A line that wraps can't be drawn again in its place.
  const room = terminal.err.columns - stripVTControlCharacters(text("")).length - 2;
  return text(message.length <= room ? message : room > 1 ? `${message.slice(0, room - 1)}…` : "");
}

function markOf(terminal: Terminal, state: ProgressLine["state"], frame: number): string {
  switch (state) {
    case "waiting":
      return paint(terminal.err, "dim", "·");
    case "running":
      return paint(terminal.err, "cyan", spinner[frame % spinner.length] ?? "*");
    case "done":
      return paint(terminal.err, "green", "✓");
    case "failed":
      return paint(terminal.err, "red", "✗");
    case "skipped":
      return paint(terminal.err, "dim", "-");
  }
}

function barOf(terminal: Terminal, done: number, total: number): string {
  const width = 24;
  const filled = Math.min(width, Math.floor((done / total) * width));
  return paint(terminal.err, "cyan", "━".repeat(filled)) + paint(terminal.err, "dim", "─".repeat(width - filled));
}

function amount(line: ProgressLine): string {
  const done = line.done ?? 0;
  const total = line.total ?? 0;
  if (line.unit === "bytes") return `${formatBytes(done)} of ${formatBytes(total)}`;
  return `${done} of ${total}`;
}
