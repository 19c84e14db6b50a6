import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

/** The connection ended under a statement: whether that was carried out is not known. */
export class ConnectionLost extends Error {
  constructor(cause: unknown) {
    super(`the connection to PostgreSQL was lost: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
    this.name = "ConnectionLost";
  }
}

export interface ConnectionOptions {
  /** postgres://user:password@host:port/database; what it leaves out comes from PGHOST, PGPASSWORD, ~/.pgpass and so on. */
  readonly url: string;
  /** How long a connection may take to be made, and a statement to be answered; then it counts as lost. */
  readonly patienceMs: number;
}

export interface Statement {
  /** Prepared under this name, once per connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** What takes statements. */
export interface Statements {
  /** @throws ConnectionLost; pg.DatabaseError where the server refused the statement, which then did nothing */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
  close(): Promise<void>;
}

/** SQLSTATE classes after which the server ends the connection: connection exception, operator intervention. */
const endsConnection = /^(08|57P)/;
const settings = `
  SELECT set_config('synchronous_commit', 'on', false) FROM pg_settings
  WHERE name = 'synchronous_commit' AND setting IN ('off', 'local')`;

/** One connection, made when it is needed and made anew after it was lost. Statements run one after another. */
export class Connection implements Statements {
  readonly #options: ConnectionOptions;
  #client: Promise<Opened> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  query<Row extends object>(statement: Statement): Promise<Row[]> {
    const answer = this.#turn.then(() => this.#run<Row>(statement));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Ends it; what is under way is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) (await client.catch(() => undefined))?.drop();
  }

  async #run<Row extends object>({ name, text, values = [] }: Statement): Promise<Row[]> {
    if (this.#closed) throw new ConnectionLost("it is closed");
    this.#client ??= this.#open();
    const using = this.#client;
    let opened: Opened | undefined;
    try {
      opened = await using;
      const query = { text, values: [...values], ...(name === undefined ? {} : { name }) };
      const { rows } = await opened.bounded(opened.client.query<Row>(query));
      return rows;
    } catch (error) {
      if (error instanceof pg.DatabaseError && !endsConnection.test(error.code ?? "08")) throw error;
      opened?.drop();
      if (this.#client === using) this.#client = undefined;
      throw error instanceof ConnectionLost ? error : new ConnectionLost(error);
    }
  }

  async #open(): Promise<Opened> {
    const opened = new Opened(this.#options);
    try {
      await opened.bounded(opened.client.connect());
      // An operator may have weakened it for everyone; what Skerry acknowledges must be on the disk.
      await opened.bounded(opened.client.query(settings));
      return opened;
    } catch (error) {
      opened.drop();
      throw error;
    }
  }
}

/** A client with the socket below it, since a peer that is silent can't be asked to end. */
class Opened {
  readonly client: pg.Client;
  readonly #socket = new Socket();
  readonly #patienceMs: number;

  constructor({ url, patienceMs }: ConnectionOptions) {
    this.#patienceMs = patienceMs;
    this.client = new pg.Client({
      connectionString: url,
      stream: () => this.#socket,
      keepAlive: true,
      application_name: "skerry",
      connectionTimeoutMillis: patienceMs,
    });
    // Whoever has a statement under way hears of it; between statements the next one does.
    this.client.on("error", () => this.drop());
  }

  async bounded<T>(work: Promise<T>): Promise<T> {
    const done = new AbortController();
    const late = delay(this.#patienceMs, undefined, { signal: done.signal }).then(
      () => {
        this.drop();
        throw new ConnectionLost(`no answer within ${this.#patienceMs} ms`);
      },
      () => work,
    );
    try {
      return await Promise.race([work, late]);
    } finally {
      done.abort();
    }
  }

  drop(): void {
    this.#socket.destroy();
  }
}

/** The URL without its password and options: for messages. */
export function redacted(url: string): string {
  if (!URL.canParse(url)) return "postgres://…";
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname}`;
}
