import { createConnection, createServer } from "node:net";
import { TestbedError } from "./testbed.ts";

/** An abstract socket: the kernel frees it with its process, so a crash never leaves a stale lock. One testbed per machine. */
const socketName = "\0skerry-testbed";

/** Holds the machine's one testbed lock until disposed; throws a TestbedError that names the holder when it is taken. */
export async function lockTestbed(name = socketName): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined); // the asker left before it read the answer
    socket.end(String(process.pid));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.on("error", reject);
  server.listen(name, resolve);
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    throw new TestbedError(
      `another process (pid ${await askHolder(name)}) is bringing this machine's testbed up or taking it down`,
      "Wait until it has finished, or end it, and try again.",
      { cause: error },
    );
  }
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

async function askHolder(name: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = "";
  const socket = createConnection(name);
  socket.setEncoding("utf8").setTimeout(1_000, () => socket.destroy());
  socket.on("data", (text: string) => (answer += text));
  socket.on("error", () => undefined); // it ended meanwhile; `close` follows
  socket.on("close", () => resolve(/^\d{1,10}$/.test(answer) ? answer : "unknown"));
  return promise;
}
