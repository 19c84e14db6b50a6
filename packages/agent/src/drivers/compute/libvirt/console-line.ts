import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { SkerryError } from "@skerry/model";

/** A reader that falls this far behind is cut off, since the others and the guest must not wait for it. */
const maxBacklogBytes = 1024 * 1024;

/**
 * A guest's serial line for any number of people at once. QEMU serves one connection; this holds it while somebody is there,
 * gives everyone what it prints, and sends on what each types. It is used up once `onEnd` was called.
 */
export class ConsoleLine {
  readonly #members = new Set<ConsoleMember>();
  readonly #socket: Promise<Socket>;
  readonly #onEnd: () => void;
  /** Members and those who are about to be. */
  #people = 0;
  #ended = false;

  /** @param path QEMU's socket @param onEnd called once, when the last one has left or the guest has ended */
  constructor(path: string, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#socket = this.#connect(path);
    // Whoever joins is told; before that nobody has to be.
    this.#socket.catch(() => this.#end());
  }

  /** @throws SkerryError node-driver-failed where the guest does not run */
  async join(signal: AbortSignal): Promise<Duplex> {
    this.#people += 1;
    try {
      const socket = await this.#socket;
      signal.throwIfAborted();
      const member = new ConsoleMember(socket, () => {
        this.#members.delete(member);
        this.#leave();
      });
      this.#members.add(member);
      return member;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  async #connect(path: string): Promise<Socket> {
    const socket = connect({ path });
    try {
      await once(socket, "connect");
    } catch (error) {
      throw new SkerryError("node-driver-failed", "The guest's console can't be reached.", {
        remedy: "The guest may have stopped a moment ago; see its state.",
        cause: error,
      });
    }
    socket.on("data", (chunk) => {
      for (const member of this.#members) member.hear(chunk);
    });
    // A broken connection ends as a closed one does: the guest is gone.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#end();
      for (const member of this.#members) member.hangUp();
    });
    return socket;
  }

  #leave(): void {
    this.#people -= 1;
    if (this.#people > 0) return;
    this.#end();
    void this.#socket.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
  }
}

/** One person's end of the line. */
class ConsoleMember extends Duplex {
  readonly #line: Socket;
  readonly #onLeave: () => void;

  constructor(line: Socket, onLeave: () => void) {
    super({ allowHalfOpen: false });
    this.#line = line;
    this.#onLeave = onLeave;
  }

  hear(chunk: Buffer): void {
    if (this.readableLength + chunk.length > maxBacklogBytes) {
      this.destroy(
        new SkerryError("node-driver-failed", "The console printed faster than it was read.", {
          remedy: "Connect again.",
        }),
      );
      return;
    }
    this.push(chunk);
  }

  /** The guest is gone: what it printed last is still read, then the stream ends. */
  hangUp(): void {
    this.push(null);
  }

  override _read(): void {
    // Whatever is printed is pushed as it comes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#line.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onLeave();
    done(error);
  }
}
