import { EventEmitter } from "node:events";
import { appendFileSync, closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { Duplex, PassThrough, addAbortSignal } from "node:stream";
import type { Readable } from "node:stream";

/** The serial lines of simulated guests: what is typed comes back, and everything is kept in a log file each. */
export class SimulatedSerial {
  readonly #folder: string;
  readonly #printed = new EventEmitter().setMaxListeners(0);
  readonly #open = new Map<string, Set<Duplex>>();

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
  }

  print(id: string, text: string | Uint8Array): void {
    const bytes = Buffer.from(text);
    appendFileSync(this.#path(id), bytes);
    this.#printed.emit(id, bytes);
  }

  /** A line both ways; it ends when `hangUp` is called. */
  connect(id: string, signal: AbortSignal): Duplex {
    const line: Duplex = new Duplex({
      allowHalfOpen: false,
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        this.print(id, chunk);
        done();
      },
      destroy: (error, done) => {
        this.#printed.off(id, show);
        this.#open.get(id)?.delete(line);
        done(error);
      },
    });
    const show = (bytes: Buffer): void => {
      line.push(bytes);
    };
    this.#printed.on(id, show);
    this.#open.set(id, (this.#open.get(id) ?? new Set()).add(line));
    return addAbortSignal(signal, line);
  }

  hangUp(id: string): void {
    for (const line of this.#open.get(id) ?? []) line.push(null);
  }

  log(id: string, options: { readonly follow: boolean; readonly maxBytes: number }, signal: AbortSignal): Readable {
    const out = new PassThrough();
    const past = tailOf(this.#path(id), options.maxBytes);
    if (!options.follow) {
      out.end(past);
      return out;
    }
    out.write(past);
    const show = (bytes: Buffer): void => {
      out.write(bytes);
    };
    this.#printed.on(id, show);
    out.once("close", () => this.#printed.off(id, show));
    return addAbortSignal(signal, out);
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.log`);
  }
}

function tailOf(path: string, maxBytes: number): Buffer {
  if (!existsSync(path)) return Buffer.alloc(0);
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, maxBytes));
    return tail.subarray(0, readSync(fd, tail, 0, tail.length, size - tail.length));
  } finally {
    closeSync(fd);
  }
}
