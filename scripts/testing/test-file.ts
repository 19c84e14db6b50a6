import { run } from "node:test";
import type { EventData } from "node:test";

/** One failed test: its names from the outermost suite inwards, and what it threw. */
export type Failure = { readonly path: readonly string[]; readonly error: unknown };

export type FileResult = {
  readonly file: string;
  readonly durationMs: number;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly Failure[];
  /** Everything that the file's process wrote or that the runner remarked, in order. */
  readonly output: string;
};

/** Why a run was stopped: the end of its tier's budget, or a signal. */
export function stopCause(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name !== "TimeoutError") return reason.message;
  return "stopped: its tier's time budget was used up";
}

/** What is used of node:test's events; `entryFile` is absent where the file itself is reported. */
type Event = (EventData.TestPass | EventData.TestFail) & { readonly entryFile?: string };
type FailedEvent = EventData.TestFail & Event;

/**
 * Runs one test file in a process of its own and counts its tests. A test with subtests is not counted beside them.
 * A file that ends without reporting one test counts as a failure, also when its process exits with 0.
 */
export async function runTestFile(file: string, signal: AbortSignal): Promise<FileResult> {
  const startMs = performance.now();
  const counts = { passed: 0, skipped: 0 };
  const failures: Failure[] = [];
  const output: string[] = [];
  const names = new Map<number, { readonly name: string; readonly parent: number | undefined }>();
  const parents = new Set<number>();
  const unfinished = new Map<number, string>();

  const pathOf = (event: Event): string[] => {
    const path = [event.name];
    for (let id = event.parentId; id !== undefined;) {
      const parent = names.get(id);
      if (parent === undefined) break;
      path.unshift(parent.name);
      id = parent.parent;
    }
    return path;
  };
  const isGroup = (event: Event): boolean => event.details.type === "suite" || parents.has(event.testId);
  const pass = (event: Event): void => {
    if (event.parentId !== undefined) parents.add(event.parentId);
    if (event.entryFile === undefined) failures.push({ path: [], error: "the file ended without reporting a test" });
    else if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
    else if (!isGroup(event)) counts.passed += 1;
  };
  const fail = (event: FailedEvent): void => {
    if (event.parentId !== undefined) parents.add(event.parentId);
    const { error } = event.details;
    if (event.todo !== undefined) counts.skipped += 1;
    else if (event.entryFile === undefined) failures.push({ path: [], error: fileCause(error, signal, unfinished) });
    else if (failureType(error) !== "subtestsFailed") {
      failures.push({ path: pathOf(event), error: error.cause ?? error });
    }
  };

  const stream = run({ files: [file], isolation: "process", concurrency: 1, signal });
  stream.on("test:enqueue", (event: EventData.TestEnqueue & { entryFile?: string }) => {
    if (event.entryFile !== undefined) names.set(event.testId, { name: event.name, parent: event.parentId });
  });
  stream.on("test:dequeue", (event: EventData.TestDequeue & { entryFile?: string }) => {
    if (event.entryFile !== undefined) unfinished.set(event.testId, event.name);
  });
  stream.on("test:complete", (event: EventData.TestComplete & { entryFile?: string }) => {
    if (event.entryFile !== undefined) unfinished.delete(event.testId);
  });
  stream.on("test:pass", pass);
  stream.on("test:fail", fail);
  stream.on("test:stdout", (event) => output.push(event.message));
  stream.on("test:stderr", (event) => output.push(event.message));
  stream.on("test:diagnostic", (event) => {
    // Diagnostics of the run as a whole are counts, which the report makes itself.
    if (event.file !== undefined) output.push(`${event.message}\n`);
  });
  const ended = new Promise<void>((settle, reject) => {
    stream.once("end", settle);
    stream.once("error", reject);
  });
  stream.resume();
  await ended;
  return { file, durationMs: performance.now() - startMs, ...counts, failures, output: output.join("") };
}

function failureType(error: Error): unknown {
  return "failureType" in error ? error.failureType : undefined;
}

function fileCause(error: Error, signal: AbortSignal, unfinished: ReadonlyMap<number, string>): string {
  if (failureType(error) !== "testAborted") return "the file's process failed outside its tests; its output follows";
  const names = [...unfinished.values()].map((name) => `\n  unfinished: ${name}`);
  return `${stopCause(signal)}${names.join("")}`;
}
