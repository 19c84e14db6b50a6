import { readFileSync } from "node:fs";
import { SkerryError } from "@skerry/model";
import type { SshConnection } from "./ssh-connection.ts";

/* Scripts for hosts are fixed texts beside this file: what varies reaches them as arguments, never as text. */

export const scriptNames = [
  "facts",
  "state",
  "packages",
  "libvirt",
  "offsets",
  "receive",
  "install",
  "start",
  "lease-guard",
] as const;
export type ScriptName = (typeof scriptNames)[number];

/** Exit status of scripts where a file system is full: ENOSPC's number. */
const diskFullExit = 28;

export interface ScriptOptions {
  readonly args?: readonly string[];
  /** Run as root, by sudo where the user is another. */
  readonly root: boolean;
  /** After so long the host counts as hanging; absent where the caller's signal alone limits it. */
  readonly timeoutMs?: number;
  /** What a script says while it runs; see `ScriptAnswer`. */
  readonly onAnswer?: (key: string, value: string) => void;
}

/** What a script said in lines `@skerry KEY VALUE`; everything else, such as what a login script prints, is not its answer. */
export interface ScriptAnswer {
  readonly exitCode: number;
  /** The last value of each key. */
  readonly values: ReadonlyMap<string, string>;
  readonly all: readonly (readonly [key: string, value: string])[];
  /** The last lines of its errors, for people. */
  readonly complaint: string;
}

/** The text of a script, without the comments that begin at a line's start: a host's log of what sudo ran needs none. */
export function scriptText(name: ScriptName): string {
  return readFileSync(new URL(`./remote/${name}.sh`, import.meta.url), "utf8").replaceAll(/^#.*\n/gm, "");
}

/** A script as it travels: a shell that gets only part of a group runs nothing of it. The script's own input is empty. */
export function wholeOrNothing(script: string): string {
  return `{ (\n${script}\n) </dev/null; exit "$?"; }\n`;
}

/** The words that make a program run as root. */
export function asRoot(user: string): readonly string[] {
  return user === "root" ? [] : ["sudo", "-n", "--"];
}

/** Runs a script by the host's /bin/sh, to which its text travels on standard input. */
export async function runScript(
  connection: SshConnection,
  name: ScriptName,
  options: ScriptOptions,
  signal: AbortSignal,
): Promise<ScriptAnswer> {
  const shell = ["/bin/sh", "-s", "--", ...(options.args ?? [])] as const;
  const prefix = options.root ? asRoot(connection.target.user) : [];
  const [program, ...rest] = [...prefix, ...shell];
  const timeout = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
  const all: [string, string][] = [];
  const onLine = (line: string): void => {
    const answer = /^@skerry ([a-z-]+) ?(.*)$/.exec(line);
    if (answer === null) return;
    const [, key = "", value = ""] = answer;
    options.onAnswer?.(key, value);
    // Progress is for the moment, and a host does not decide how much is kept of it.
    if (key !== "progress" && all.length < 1000) all.push([key, value]);
  };
  try {
    const result = await connection.exec(
      [program ?? "/bin/sh", ...rest],
      { input: wholeOrNothing(scriptText(name)), onLine },
      timeout === undefined ? signal : AbortSignal.any([signal, timeout]),
    );
    return { exitCode: result.exitCode, values: new Map(all), all, complaint: lastLines(result.stderr) };
  } catch (error) {
    if (timeout?.aborted !== true || signal.aborted) throw error;
    throw new SkerryError(
      "host-command-failed",
      `The host ${connection.target.address} did not finish "${name}" within ${(options.timeoutMs ?? 0) / 1000} s.`,
      {
        remedy: "See on the host what hangs (journalctl -b, dmesg), then run it again: it continues where it stopped.",
        cause: error,
      },
    );
  }
}

/** The answer of a script that must succeed. @throws SkerryError host-disk-full, host-command-failed */
export async function requireScript(
  connection: SshConnection,
  name: ScriptName,
  options: ScriptOptions,
  signal: AbortSignal,
): Promise<ScriptAnswer> {
  const answer = await runScript(connection, name, options, signal);
  if (answer.exitCode === 0) return answer;
  throw scriptFailure(connection, name, answer);
}

/** What a script's failure means. */
export function scriptFailure(connection: SshConnection, name: string, answer: ScriptAnswer): SkerryError {
  const host = connection.target.address;
  if (answer.exitCode === diskFullExit) {
    const path = answer.values.get("full") ?? "/";
    return new SkerryError("host-disk-full", `The host ${host} has no space left at ${path}.`, {
      remedy: `Free space there (du -xh ${path} | sort -h | tail), then run it again: it continues where it stopped.`,
      facts: { path },
    });
  }
  return new SkerryError(
    "host-command-failed",
    `On the host ${host} the step "${name}" failed (exit ${answer.exitCode}): ${answer.complaint}`,
    {
      remedy: "Mend on the host what it says, then run it again: it continues where it stopped.",
      facts: { exitCode: answer.exitCode },
    },
  );
}

function lastLines(text: string): string {
  const lines = text.trim().split("\n").slice(-8).join(" | ").slice(-1000);
  return lines === "" ? "it said nothing" : lines;
}
