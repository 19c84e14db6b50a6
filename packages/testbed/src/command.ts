import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";

/** What a finished child process said; output is UTF-8, trimmed of nothing. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Return a non-zero exit instead of throwing it. */
  readonly allowFailure?: boolean;
  /** Called with each line of both outputs as it arrives. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A child process that could not start or ended with a non-zero exit. */
export class CommandError extends Error {
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly output: string;
  constructor(argv: readonly string[], exitCode: number | undefined, output: string, options?: ErrorOptions) {
    super(
      `${argv.join(" ")} ${exitCode === undefined ? "could not run" : `exited with ${exitCode}`}: ${tail(output)}`,
      options,
    );
    this.name = "CommandError";
    this.argv = argv;
    this.exitCode = exitCode;
    this.output = output;
  }
}

/** Longest output kept of one command; builders are chatty and only their end matters. */
const keptCharacters = 4 * 1024 * 1024;

/** A program whose parent was killed must not go on changing the machine behind the next run's back. */
const dieWithParent = ["--pdeathsig", "KILL", "--"];

/** Runs a program to its end, never through a shell; an aborted signal kills it and rejects with the signal's reason. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  if (argv.length === 0) throw new TypeError("an empty argv was given");
  options.signal?.throwIfAborted();
  const child = spawn("setpriv", [...dieWithParent, ...argv], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C.UTF-8", ...options.env },
    cwd: options.cwd,
  });
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  let stdout = "";
  let stderr = "";
  const readOut = lineReader(options.onLine);
  const readErr = lineReader(options.onLine);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-keptCharacters);
    readOut(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-keptCharacters);
    readErr(text);
  });
  const abort = (): void => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 3_000).unref();
  };
  options.signal?.addEventListener("abort", abort, { once: true });
  child.on("error", (error) => reject(new CommandError(argv, undefined, error.message, { cause: error })));
  child.on("close", (code, killedBy) => {
    const exitCode = code ?? 128;
    if (options.signal?.aborted === true) reject(abortReason(options.signal));
    else if (exitCode === 0 || options.allowFailure === true) resolve({ exitCode, stdout, stderr });
    else reject(new CommandError(argv, exitCode, killedBy === null ? stderr + stdout : `killed by ${killedBy}`));
  });
  // A program that does not read its input closes the pipe early; its exit code tells the rest.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  try {
    return await promise;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

/** A started program; `ended` tells whether it exited already. */
export interface Daemon {
  readonly pid: number;
  ended(): boolean;
}

/** Starts a program that outlives this process: own session, no terminal, both outputs appended to `logPath`. */
export async function startDaemon(argv: readonly string[], logPath: string): Promise<Daemon> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new TypeError("an empty argv was given");
  const log = openSync(logPath, "a", 0o600);
  try {
    const child = spawn(program, rest, { detached: true, stdio: ["ignore", log, log], cwd: "/" });
    const { promise, resolve, reject } = Promise.withResolvers<Daemon>();
    child.on("error", (error) => reject(new CommandError(argv, undefined, error.message, { cause: error })));
    const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
    child.on("spawn", () => resolve({ pid: child.pid ?? 0, ended }));
    child.unref();
    return await promise;
  } finally {
    closeSync(log);
  }
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason });
}

function lineReader(onLine: ((line: string) => void) | undefined): (text: string) => void {
  let partial = "";
  return (text) => {
    if (onLine === undefined) return;
    // Programs that believe in a terminal end lines with a carriage return too.
    const lines = (partial + text).split(/\r?\n/);
    partial = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  };
}

function tail(output: string): string {
  return output.trim().split("\n").slice(-6).join(" | ").slice(-1_000);
}
