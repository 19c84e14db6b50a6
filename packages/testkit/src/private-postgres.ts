import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { chown, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A PostgreSQL of a test's own, on loopback, durable as by default. */
export interface PrivatePostgres extends AsyncDisposable {
  readonly port: number;
  /** The server's data directory. */
  readonly directory: string;
  /** Of a new, empty database. */
  makeDatabase(): Promise<string>;
  /** The first column of the first row that a statement gives, as text. */
  query(database: string, sql: string): Promise<string>;
  /** Ends it, where it has not ended by itself, and starts it again: "fast" ends connections first, "immediate" is as a crash. */
  restart(mode: "fast" | "immediate"): Promise<void>;
  /** Resolves when it has ended by itself. */
  ended(): Promise<void>;
  /** What it has logged. */
  log(): Promise<string>;
}

export interface PostgresOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[];
  /** An existing directory in which its data lie; one of its own where absent. */
  readonly dataIn?: string;
  /**
   * The same for the write-ahead log. A PostgreSQL that can't write its log ends itself, so that a test of full data
   * keeps it elsewhere.
   */
  readonly walIn?: string;
}

/** PostgreSQL refuses to run as root; this user owns nothing else. */
const unprivileged = "nobody";
const startMs = 20_000;

/** Starts it, with Debian's package, which is installed where it is missing. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PrivatePostgres> {
  const { settings = [], dataIn, walIn } = options;
  const binaries = await findBinaries();
  const folder = await mkdtemp(join(tmpdir(), "skerry-postgres-"));
  const directory = join(dataIn ?? folder, "data");
  const wal = join(walIn ?? folder, "wal");
  const identity = await identityArgv();
  const made = [directory, wal];
  for (const path of made) await mkdir(path, { mode: 0o700 });
  if (identity.length > 0) for (const path of [folder, ...made]) await giveAway(path);
  const port = await freePort();
  const [initdb, ...rest] = [...identity, join(binaries, "initdb")];
  const walArgs = ["--wal-segsize=1", "--waldir", wal];
  const args = ["-D", directory, "-U", "skerry", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", ...walArgs];
  await run(initdb, [...rest, ...args], { cwd: folder });
  const lines = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    "unix_socket_directories = ''",
    "max_connections = 60",
    "shared_buffers = '32MB'",
    ...settings,
  ];
  await writeFile(join(directory, "postgresql.auto.conf"), `${lines.join("\n")}\n`);
  if (identity.length > 0) await giveAway(join(directory, "postgresql.auto.conf"));

  const start = async (): Promise<ChildProcess> => {
    const log = await open(join(folder, "log"), "a");
    const [program, ...words] = [
      "setpriv",
      "--pdeathsig",
      "INT",
      ...identity.slice(1),
      join(binaries, "postgres"),
      "-D",
      directory,
    ];
    const child = spawn(program, words, { stdio: ["ignore", log.fd, log.fd], cwd: folder });
    await log.close();
    const untilMs = performance.now() + startMs;
    while (!(await answers(binaries, port))) {
      if (child.exitCode !== null || performance.now() > untilMs)
        throw new Error(`PostgreSQL did not start: ${await readFile(join(folder, "log"), "utf8")}`);
      await delay(20);
    }
    return child;
  };
  const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    if (hasEnded(child)) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  let child = await start();
  let databases = 0;
  return {
    port,
    directory,
    async makeDatabase() {
      const name = `test${++databases}`;
      await run(join(binaries, "createdb"), ["-h", "127.0.0.1", "-p", String(port), "-U", "skerry", name]);
      return `postgres://skerry@127.0.0.1:${port}/${name}`;
    },
    async query(database, sql) {
      const { stdout } = await run(join(binaries, "psql"), ["-X", "-A", "-t", "-c", sql, database]);
      return stdout.split("\n", 1)[0] ?? "";
    },
    async restart(mode) {
      await stop(child, mode === "fast" ? "SIGINT" : "SIGQUIT");
      child = await start();
    },
    async ended() {
      if (!hasEnded(child)) await once(child, "exit");
    },
    log: () => readFile(join(folder, "log"), "utf8"),
    async [Symbol.asyncDispose]() {
      await stop(child, "SIGQUIT");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function findBinaries(): Promise<string> {
  const installed = (): string | undefined =>
    globSync("/usr/lib/postgresql/*/bin/initdb")
      .toSorted()
      .at(-1)
      ?.replace(/\/initdb$/, "");
  const found = installed();
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version"))
    throw new Error("these tests need PostgreSQL: install Debian's package postgresql");
  // The package would otherwise make and start a database of its own.
  await mkdir("/etc/postgresql-common", { recursive: true });
  const conf = "/etc/postgresql-common/createcluster.conf";
  if (!existsSync(conf)) await writeFile(conf, "create_main_cluster = false\n");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"];
  const install = ["install", "--no-install-recommends", "postgresql"];
  try {
    await run("apt-get", [...options, ...install], { env });
  } catch {
    await run("apt-get", [...options, "update"], { env });
    await run("apt-get", [...options, ...install], { env });
  }
  const now = installed();
  if (now === undefined) throw new Error("Debian's package postgresql came without /usr/lib/postgresql/*/bin/initdb");
  return now;
}

async function identityArgv(): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  const { uid, gid } = await unprivilegedIds();
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
}

async function unprivilegedIds(): Promise<{ readonly uid: number; readonly gid: number }> {
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => Number((await run("id", [flag, unprivileged])).stdout)),
  );
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${unprivileged}`);
  return { uid, gid };
}

async function giveAway(path: string): Promise<void> {
  const { uid, gid } = await unprivilegedIds();
  await chown(path, uid, gid);
}

/** A port on loopback that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(binaries: string, port: number): Promise<boolean> {
  return run(join(binaries, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)]).then(
    () => true,
    () => false,
  );
}
