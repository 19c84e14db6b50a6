/** One finished system call of a trace. */
export interface SystemCall {
  readonly thread: string;
  readonly name: string;
  /** As strace prints them, file descriptors with their paths. */
  readonly args: string;
  readonly result: string;
}

/** Reads `strace -f -y` output: calls in the order in which they ended, put together again where others cut in. */
export function readTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const cut = / <unfinished \.\.\.>$/.exec(rest);
    if (cut !== null) {
      unfinished.set(thread, rest.slice(0, cut.index));
      continue;
    }
    const whole = rest.replace(/^<\.\.\. \w+ resumed>/, () => unfinished.get(thread) ?? "");
    const [, name, args = "", result = ""] = /^(\w+)\((.*)\) += (.*)$/.exec(whole) ?? [];
    if (name !== undefined) calls.push({ thread, name, args, result });
  }
  return calls;
}
