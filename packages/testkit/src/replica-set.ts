import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { openPath, type CuttablePath } from "./cuttable-path.ts";
import { freePort, startPostgres, type PostgresOptions, type PrivatePostgres } from "./private-postgres.ts";

const program = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));

/** One replica: a server process of its own, with its own path to the database. */
export interface ReplicaProcess {
  readonly index: number;
  readonly url: string;
  readonly client: Client;
  /** One that has written nothing, and so takes what the replica has; the administrator's where no token is given. */
  makeClient(token?: string): Client;
  /** Sets its wall clock so much off the machine's; resolves when it runs by that. */
  setClock(offsetMs: number): Promise<void>;
  readonly pathToDatabase: CuttablePath;
  /** Sends a signal to the process; SIGKILL resolves when it is gone. */
  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): Promise<void>;
  /** Starts it anew after it was killed. */
  start(): void;
}

/** Several replicas of one control plane on a PostgreSQL of their own. */
export interface ReplicaSet extends AsyncDisposable {
  readonly postgres: PrivatePostgres;
  readonly replicas: readonly ReplicaProcess[];
  /** Where logs are: replica-0.log and so on. */
  readonly folder: string;
  /** The replica that the database names as the leader. */
  leader(): Promise<ReplicaProcess>;
  /** How often the leader has changed. */
  epoch(): Promise<number>;
  /** Resolves once every replica answers. */
  allAnswer(signal: AbortSignal): Promise<void>;
}

const startMs = 60_000;
const shiftedClock = new URL("./shifted-clock.ts", import.meta.url).href;

export async function startReplicaSet(size: number, options: PostgresOptions = {}): Promise<ReplicaSet> {
  const folder = await mkdtemp(join(tmpdir(), "skerry-replicas-"));
  const postgres = await startPostgres(options);
  const direct = await postgres.makeDatabase();
  const replicas: ReplicaProcess[] = [];
  const children = new Map<number, ChildProcess>();
  const first = join(folder, "0");
  const limit = AbortSignal.timeout(startMs);

  for (let index = 0; index < size; index++) {
    const dataDir = join(folder, String(index));
    if (index > 0) {
      await mkdir(dataDir, { mode: 0o700 });
      for (const name of ["pki", "sealing.key"]) await cp(join(first, name), join(dataDir, name), { recursive: true });
    }
    const path = await openPath(postgres.port);
    const database = new URL(direct);
    database.port = String(path.port);
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    const clockFile = join(folder, `clock-${index}`);
    const start = (): void => {
      const log = openSync(join(folder, `replica-${index}.log`), "a");
      const words = ["server", "--store", database.href, "--data-dir", dataDir, "--listen", `127.0.0.1:${port}`];
      const options = ["--disable-warning=ExperimentalWarning", "--import", shiftedClock];
      const argv = [...options, program, ...words, "--images-dir", join(folder, "images")];
      const env = { ...process.env, SKERRY_TEST_CLOCK: clockFile };
      children.set(index, spawn(process.execPath, argv, { env, stdio: ["ignore", log, log] }));
    };
    start();
    // The first one makes the zone's authority and the administrator's token, which the others need.
    const token = (await untilRead(join(first, "admin.token"), limit)).trim();
    const authority = await readFile(join(first, "pki/ca.pem"), "utf8");
    const makeClient = (own = token): Client => createNodeClient({ server: url, token: own, authority });
    replicas.push({
      ...{ index, url, makeClient },
      client: makeClient(),
      pathToDatabase: path,
      start,
      async setClock(offsetMs) {
        await writeFile(clockFile, String(offsetMs));
        children.get(index)?.kill("SIGUSR2");
        const signal = AbortSignal.timeout(startMs);
        while ((await untilRead(`${clockFile}.seen`, signal)) !== String(offsetMs)) await delay(10);
      },
      async signal(name) {
        const child = children.get(index);
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
        child.kill(name);
        if (name === "SIGKILL") await once(child, "exit");
      },
    });
  }
  const answers = async ({ client }: ReplicaProcess, signal: AbortSignal): Promise<void> => {
    for (;;) {
      try {
        await client.list("Organisation", {}, signal);
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        await delay(50);
      }
    }
  };
  const set: ReplicaSet = {
    postgres,
    replicas,
    folder,
    async leader() {
      const url = await postgres.query(direct, "SELECT url FROM skerry_leadership");
      const found = replicas.find((replica) => replica.url === url);
      if (found === undefined) throw new Error(`no replica serves at "${url}"`);
      return found;
    },
    epoch: async () => Number(await postgres.query(direct, "SELECT epoch FROM skerry_leadership")),
    async allAnswer(signal) {
      await Promise.all(replicas.map((replica) => answers(replica, signal)));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(replicas.map((replica) => replica.signal("SIGKILL")));
      for (const { pathToDatabase } of replicas) await pathToDatabase[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await set.allAnswer(limit);
  return set;
}

async function untilRead(path: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (signal.aborted) throw error;
      await delay(50);
    }
  }
}
