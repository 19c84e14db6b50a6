import { spawn } from "node:child_process";
import { SkerryError } from "@skerry/model";

/** Longest output kept of one program, characters. */
const keptCharacters = 1024 * 1024;

export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, never through a shell: the one place from which drivers start children that end by themselves.
 * An aborted signal kills it and rejects with the signal's reason.
 * @throws SkerryError node-driver-failed with the program's own words; storage-full where these say so
 */
export async function runProgram(
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
  input?: string,
): Promise<ProgramResult> {
  signal.throwIfAborted();
  const [program, ...rest] = argv;
  const child = spawn(program, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C.UTF-8" },
    signal,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout = (stdout + text).slice(0, keptCharacters)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-keptCharacters)));
  // A program that ends without reading its input is judged by its exit code, not by the broken pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  child.once("error", reject);
  child.once("close", (code, killedBy) =>
    resolve(code === 0 ? undefined : killedBy === null ? `exit ${code}` : `killed by ${killedBy}`),
  );
  let failure: string | undefined;
  try {
    failure = await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw new SkerryError(
      "node-driver-failed",
      `${program} could not be started: ${error instanceof Error ? error.message : String(error)}`,
      {
        remedy: `Install the package that provides ${program} on the node.`,
        cause: error,
      },
    );
  }
  signal.throwIfAborted();
  if (failure === undefined) return { stdout, stderr };
  const words = stderr.trim() === "" ? stdout.trim() : stderr.trim();
  // The words of the C library for ENOSPC and EDQUOT (errno(3)); programs pass on nothing else.
  if (/No space left on device|Disk quota exceeded/.test(stderr)) {
    throw new SkerryError("storage-full", `${program} ${rest[0] ?? ""}: ${words.slice(-2000)} (${failure})`, {
      remedy: "Free space on the node's disk.",
    });
  }
  throw new SkerryError("node-driver-failed", `${program} ${rest[0] ?? ""}: ${words.slice(-2000)} (${failure})`);
}
