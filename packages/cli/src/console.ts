import type { ByteStream } from "@skerry/sdk";
import type { Terminal } from "./output/terminal.ts";

/** Ctrl-], as in virsh and telnet. */
const leaveByte = 0x1d;

/** Joins this terminal to a serial line until it ends, Ctrl-] is typed or the signal aborts. */
export async function attachConsole(terminal: Terminal, stream: ByteStream, signal: AbortSignal): Promise<void> {
  terminal.err.write("Connected; Ctrl-] leaves.\n");
  const input = process.stdin;
  const raw = input.isTTY;
  const writer = stream.writable.getWriter();
  const onInput = (chunk: Buffer): void => {
    const end = chunk.indexOf(leaveByte);
    const text = end < 0 ? chunk : chunk.subarray(0, end);
    // A failed write ends the line, which the reading side notices and reports.
    if (text.length > 0) writer.write(text).catch(() => stream.close());
    if (end >= 0) stream.close();
  };
  const onAbort = (): void => stream.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (raw) input.setRawMode(true);
  input.on("data", onInput);
  try {
    for await (const chunk of stream.readable) terminal.out.write(chunk);
  } finally {
    input.off("data", onInput);
    if (raw) input.setRawMode(false);
    input.pause();
    signal.removeEventListener("abort", onAbort);
    terminal.err.write("\nDisconnected.\n");
  }
}
