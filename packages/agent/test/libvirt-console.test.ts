import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFile, rename, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { ConsoleLine } from "../src/drivers/compute/libvirt/console-line.ts";
import { readConsoleLog } from "../src/drivers/compute/libvirt/console-log.ts";
import { eventually } from "./contract/deadline.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;

/** Collects what a stream gives, as text. */
function heard(stream: Readable): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  return () => text;
}

/** QEMU's end of a serial line: it serves one at a time and sends back what it gets. */
async function fakeSerial(
  path: string,
): Promise<{ readonly connections: () => number; readonly peer: () => Socket } & AsyncDisposable> {
  let connections = 0;
  let peer: Socket | undefined;
  const server = createServer((socket) => {
    connections += 1;
    peer = socket;
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(path);
  await once(server, "listening");
  return {
    connections: () => connections,
    peer() {
      assert.ok(peer);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      peer?.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("a guest's console", { timeout: 30_000 }, () => {
  test("is one line that all who are there share", async () => {
    await using folder = await temporaryFolder();
    await using serial = await fakeSerial(join(folder.path, "sock"));
    let idle = 0;
    const line = new ConsoleLine(join(folder.path, "sock"), () => (idle += 1));
    const [one, two] = await Promise.all([line.join(never), line.join(never)]);
    const [first, second] = [heard(one), heard(two)];
    one.write("from one;");
    two.write("from two;");
    await eventually("both heard both", () => [first, second].every((text) => text().length === 18));
    assert.equal(serial.connections(), 1);

    one.destroy();
    await once(one, "close");
    two.write("still here");
    await eventually("the other goes on", () => second().endsWith("still here"));
    assert.equal(idle, 0);
    two.destroy();
    await eventually("the line is hung up", () => serial.peer().readableEnded || serial.peer().destroyed);
    assert.equal(idle, 1);
  });

  test("gives its last words and ends when the guest does", async () => {
    await using folder = await temporaryFolder();
    await using serial = await fakeSerial(join(folder.path, "sock"));
    const line = new ConsoleLine(join(folder.path, "sock"), () => undefined);
    const [one, two] = await Promise.all([line.join(never), line.join(never)]);
    await eventually("the connection", () => serial.connections() === 1);
    serial.peer().end("Power down.");
    const texts = [heard(one), heard(two)];
    await Promise.all([once(one, "close"), once(two, "close")]);
    assert.deepEqual(
      texts.map((text) => text()),
      ["Power down.", "Power down."],
    );
  });

  test("cuts off a reader that does not keep up, and no other", async () => {
    await using folder = await temporaryFolder();
    await using serial = await fakeSerial(join(folder.path, "sock"));
    const line = new ConsoleLine(join(folder.path, "sock"), () => undefined);
    const [slow, fast] = await Promise.all([line.join(never), line.join(never)]);
    await eventually("the connection", () => serial.connections() === 1);
    let bytes = 0;
    fast.on("data", (chunk: Buffer) => (bytes += chunk.length));
    const cut = once(slow, "error");
    for (let sent = 0; sent < 3; sent++) serial.peer().write(Buffer.alloc(1024 * 1024, 46));
    const [error] = (await cut) as [unknown];
    assert.ok(error instanceof SkerryError);
    await eventually("the other has it all", () => bytes === 3 * 1024 * 1024);
    fast.destroy();
  });

  test("says that it can't be reached, and works once it can", async () => {
    await using folder = await temporaryFolder();
    const open = (): ConsoleLine => new ConsoleLine(join(folder.path, "sock"), () => undefined);
    await assert.rejects(open().join(never), SkerryError);
    await using _serial = await fakeSerial(join(folder.path, "sock"));
    const member = await open().join(never);
    const text = heard(member);
    member.write("hello");
    await eventually("the answer", () => text() === "hello");
    member.destroy();
  });
});

describe("a console's log", { timeout: 30_000 }, () => {
  const whole = async (stream: Readable): Promise<string> => {
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    return text;
  };

  test("is given from its end, the parts that were moved aside included", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "console.log");
    await writeFile(`${path}.1`, "oldest ");
    await writeFile(`${path}.0`, "older ");
    await writeFile(path, "newest");
    const read = (maxBytes: number): Promise<string> => whole(readConsoleLog(path, { follow: false, maxBytes }, never));
    assert.equal(await read(3), "est");
    assert.equal(await read(6), "newest");
    assert.equal(await read(9), "er newest");
    assert.equal(await read(100), "oldest older newest");
    assert.equal(await read(0), "");
  });

  test("is empty for a guest that never ran", async () => {
    await using folder = await temporaryFolder();
    assert.equal(
      await whole(readConsoleLog(join(folder.path, "none", "console.log"), { follow: false, maxBytes: 10 }, never)),
      "",
    );
  });

  test("is followed as it grows and when it is moved aside, without loss or repetition", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "console.log");
    const stream = readConsoleLog(path, { follow: true, maxBytes: 4 }, never);
    const text = heard(stream);
    await writeFile(path, "begin ");
    await eventually("what began after the reading did", () => text() === "begin ");
    await appendFile(path, "more ");
    await eventually("what was appended", () => text() === "begin more ");
    await appendFile(path, "last ");
    await rename(path, `${path}.0`);
    await writeFile(path, "new");
    await eventually("the new part", () => text() === "begin more last new");
    const closed = once(stream, "close");
    stream.destroy();
    await closed;
  });

  test("stops when its signal aborts", async () => {
    await using folder = await temporaryFolder();
    const abort = new AbortController();
    const stream = readConsoleLog(join(folder.path, "console.log"), { follow: true, maxBytes: 4 }, abort.signal);
    const failed = once(stream, "error");
    abort.abort();
    const [error] = (await failed) as [Error];
    assert.equal(error.name, "AbortError");
    assert.ok(stream.destroyed);
  });
});
