import { spawn } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { Client } from "@skerry/sdk";

const program = new URL("../main.ts", import.meta.url).pathname;

/** A process of Skerry's own that the demo started and ends. */
export interface OwnProcess {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Asks it to end, waits, and kills it after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

/** Runs `skerry ARGUMENTS…` beside this one, its output in `logFile`. */
export function startSkerry(args: readonly string[], logFile: string): OwnProcess {
  const log = createWriteStream(logFile, { flags: "a" });
  const argv = [...dieWithParent(), process.execPath, "--disable-warning=ExperimentalWarning", program, ...args];
  const child = spawn(argv[0] ?? process.execPath, argv.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      log.end();
      resolve();
    });
    child.once("error", () => resolve());
  });
  return {
    pid: child.pid ?? -1,
    ended,
    stop: async (graceMs = 10_000) => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A demo that is killed must not leave its processes behind, which would hold its ports; where the system can see to it. */
function dieWithParent(): readonly string[] {
  const setpriv = "/usr/bin/setpriv";
  return existsSync(setpriv) ? [setpriv, "--pdeathsig", "TERM", "--"] : [];
}

export interface DemoControlPlane {
  readonly url: string;
  readonly authorityFile: string;
  readonly tokenFile: string;
  readonly client: Client;
  readonly process: OwnProcess;
}

export interface ControlPlanePlace {
  readonly dataDir: string;
  /** Kept from one demo to the next, as compressing Node takes seconds. */
  readonly artifactsDir: string;
  readonly port: number;
}

/** Starts `skerry server` on an address of this machine and waits until it answers. */
export async function startControlPlane(
  { dataDir, artifactsDir, port }: ControlPlanePlace,
  address: string,
  signal: AbortSignal,
): Promise<DemoControlPlane> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const url = `https://${address}:${port}`;
  const logFile = join(dataDir, "server.log");
  const local = address === "127.0.0.1" ? [] : ["--listen", `127.0.0.1:${port}`];
  const own = startSkerry(
    [
      "server",
      "--data-dir",
      join(dataDir, "server"),
      "--artifacts-dir",
      artifactsDir,
      "--listen",
      `${address}:${port}`,
      ...local,
      "--advertise",
      address,
    ],
    logFile,
  );
  const authorityFile = join(dataDir, "server", "pki", "ca.pem");
  const tokenFile = join(dataDir, "server", "admin.token");
  const { createNodeClient } = await import("@skerry/sdk/node");
  let isOver = false;
  void own.ended.then(() => (isOver = true));
  const deadline = performance.now() + 20_000;
  try {
    for (;;) {
      signal.throwIfAborted();
      try {
        const client = createNodeClient({
          server: url,
          token: (await readFile(tokenFile, "utf8")).trim(),
          authority: await readFile(authorityFile, "utf8"),
        });
        await client.list("Organisation", {}, signal);
        return { url, authorityFile, tokenFile, client, process: own };
      } catch (error) {
        if (isOver) throw await ended(logFile, "could not start");
        if (performance.now() > deadline) throw await ended(logFile, "did not start within 20 s");
        // Not up yet: its files appear and it answers within a second or so.
        if (!signal.aborted) await delay(50, undefined, { signal });
        else throw error;
      }
    }
  } catch (error) {
    await own.stop();
    throw error;
  }
}

/** The end of a control plane as an error, with its own last words, since its log goes with the demo. */
export async function ended(logFile: string, how: string): Promise<SkerryError> {
  const lines = (await readFile(logFile, "utf8").catch(() => "")).trimEnd().split("\n");
  // What it says to people comes last, after the log lines, which are JSON.
  const said = lines.filter((line) => !line.startsWith("{")).slice(-3);
  const words = (said.length > 0 ? said : lines.slice(-1)).join(" ").trim();
  return new SkerryError("unavailable", `The control plane ${how}. It said: ${words === "" ? "nothing" : words}`, {
    remedy: "Mend what it says and start the demo again; SKERRY_DEMO_KEEP=1 keeps its log.",
  });
}
