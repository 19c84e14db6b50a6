import { formatDuration } from "../output/duration.ts";
import { openProgress, type Progress } from "../output/progress.ts";
import { paint, type Terminal } from "../output/terminal.ts";

/** Tells the story: a heading, live lines while it works, the time at its end. */
export interface Narrator {
  chapter<T>(title: string, work: (progress: Progress) => Promise<T>): Promise<T>;
  say(text: string): void;
  readonly elapsedMs: () => number;
}

export function openNarrator(terminal: Terminal): Narrator {
  const startedAt = performance.now();
  let number = 0;
  return {
    elapsedMs: () => performance.now() - startedAt,
    say: (text) => terminal.err.write(`  ${text}\n`),
    chapter: async (title, work) => {
      number += 1;
      const began = performance.now();
      terminal.err.write(`\n${paint(terminal.err, ["bold", "cyan"], `${number}. ${title}`)}\n`);
      const progress = await openProgress(terminal);
      try {
        return await work(progress);
      } finally {
        progress.finish();
        terminal.err.write(`  ${paint(terminal.err, "dim", `took ${formatDuration(performance.now() - began)}`)}\n`);
      }
    },
  };
}
