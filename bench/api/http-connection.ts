import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/**
 * One kept connection with one request outstanding at a time, by TLS 1.3. It understands no more of HTTP than what the server
 * sends (lengths, no chunks), so that a client costs a small part of what it measures.
 */
export class HttpConnection {
  readonly #socket: TLSSocket;
  #chunks: Buffer[] = [];
  #have = 0;
  #need = -1;
  #headBytes = 0;
  #status = 0;
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    const end = (error?: Error): void => this.#settle?.reject(error ?? new Error("the server closed the connection"));
    socket.on("error", end);
    socket.on("close", () => end());
  }

  static async open(port: number, authority: string): Promise<HttpConnection> {
    const socket = connect({ host: "127.0.0.1", port, ca: authority, ALPNProtocols: ["http/1.1"] });
    await once(socket, "secureConnect");
    return new HttpConnection(socket);
  }

  ask(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#have += chunk.length;
    if (this.#need === -1) {
      const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
      this.#chunks = [all];
      const end = all.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = all.toString("latin1", 0, end);
      this.#status = Number(head.slice(9, 12));
      this.#headBytes = end + 4;
      this.#need = this.#headBytes + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    }
    if (this.#have < this.#need) return;
    const body = (this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : Buffer.concat(this.#chunks)).subarray(
      this.#headBytes,
    );
    this.#chunks = [];
    this.#have = 0;
    this.#need = -1;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve({ status: this.#status, body });
  }
}
