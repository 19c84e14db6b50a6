import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { SkerryError } from "@skerry/model";
import type { CommandDeps } from "./command-deps.ts";

/** Questions to whoever runs a command; where its input is no terminal the answers are its lines, in order. */
export interface Prompts extends Disposable {
  /** @throws SkerryError invalid-request where the input has ended; the signal's reason at Ctrl-C */
  ask(question: string, hidden?: "hidden"): Promise<string>;
}

export function openPrompts({ terminal, signal }: CommandDeps, input = process.stdin): Prompts {
  let hides = false;
  // What is typed is echoed to here, but for secrets.
  const echo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!hides) terminal.err.write(chunk);
      done();
    },
  });
  const reader = createInterface({ input, output: echo, terminal: input.isTTY });
  // The reader takes Ctrl-C for itself.
  reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  const stop = (): void => reader.close();
  signal.addEventListener("abort", stop, { once: true });
  const lines = reader[Symbol.asyncIterator]();
  return {
    async ask(question, hidden) {
      terminal.err.write(`${question}: `);
      hides = hidden === "hidden" || !input.isTTY;
      const { value, done = false } = await lines.next();
      hides = false;
      if (hidden === "hidden" || !input.isTTY) terminal.err.write("\n");
      signal.throwIfAborted();
      if (done || value === undefined)
        throw new SkerryError("invalid-request", `Nobody answers: ${question}.`, {
          remedy: "Run it in a terminal, or give the answers as lines of its input.",
        });
      return value;
    },
    [Symbol.dispose]() {
      signal.removeEventListener("abort", stop);
      reader.close();
      // Else a terminal or an open pipe would keep the process.
      input.destroy();
    },
  };
}
