import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError } from "@skerry/model";
import "@skerry/testkit/seed";
import { LibvirtError } from "../src/drivers/compute/libvirt/libvirt-error.ts";
import { RpcConnection } from "../src/drivers/compute/libvirt/rpc-connection.ts";
import { encodeCall, MessageSplitter, type Procedure } from "../src/drivers/compute/libvirt/rpc-message.ts";
import { XdrReader, XdrWriter } from "../src/drivers/compute/libvirt/xdr.ts";
import { eventually } from "./contract/deadline.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const never = new AbortController().signal;

/** A message as libvirt's daemon sends it: a call's frame with another type and status. */
function answer(procedure: Procedure, serial: number, payload: Buffer, type: number, status: number): Buffer {
  const frame = encodeCall(procedure, serial, payload);
  frame.writeInt32BE(type, 16);
  frame.writeInt32BE(status, 24);
  return frame;
}

/** libvirt's daemon in so far as it hands calls to the test, which answers them. */
async function fakeDaemon(
  path: string,
): Promise<{ readonly peer: () => Socket; readonly calls: () => readonly Buffer[] } & AsyncDisposable> {
  const calls: Buffer[] = [];
  let peer: Socket | undefined;
  const server = createServer((socket) => {
    peer = socket;
    socket.on("data", (chunk) => calls.push(chunk));
    socket.on("error", () => undefined);
  });
  server.listen(path);
  await once(server, "listening");
  return {
    peer() {
      assert.ok(peer);
      return peer;
    },
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      peer?.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("XDR", () => {
  test("gives back what was written", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.option(fc.string(), { nil: undefined }),
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.uint8Array(),
        (text, maybe, number, bytes) => {
          fc.pre(text.isWellFormed());
          const reader = new XdrReader(
            new XdrWriter().string(text).optionalString(maybe).int(number).fixed(bytes).uint(7).bytes(),
          );
          assert.equal(reader.string(), text);
          assert.equal(
            reader.optional((rest) => rest.string()),
            maybe,
          );
          assert.equal(reader.int(), number);
          assert.deepEqual([...reader.fixed(bytes.length)], [...bytes]);
          assert.equal(reader.uint(), 7);
        },
      ),
    );
  });

  test("never reads beyond the end, nor takes a length on trust", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const read = (work: (reader: XdrReader) => unknown): void => {
          try {
            work(new XdrReader(Buffer.from(bytes)));
          } catch (error) {
            assert.ok(error instanceof RangeError);
          }
        };
        read((reader) => reader.string());
        read((reader) => reader.list((each) => each.string()));
        read((reader) => [reader.hyper(), reader.double(), reader.unsignedHyper()]);
      }),
      { numRuns: 2000 },
    );
    assert.throws(() => new XdrReader(Buffer.from("ffffffff", "hex")).list((each) => each.uint()), RangeError);
  });
});

describe("libvirt's messages", () => {
  test("are cut out of the stream however it is chopped", () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 40 }), (parts, size) => {
        const stream = Buffer.concat(parts.map((part, index) => answer("open", index, Buffer.from(part), 1, 0)));
        const splitter = new MessageSplitter();
        const messages = [];
        for (let at = 0; at < stream.length; at += size)
          messages.push(...splitter.push(stream.subarray(at, at + size)));
        assert.deepEqual(
          messages.map(({ kind, serial, ok, payload }) => [kind, serial, ok, [...payload]]),
          parts.map((part, index) => ["reply", index, true, [...part]]),
        );
      }),
    );
  });

  test("of an impossible length end the stream", () => {
    assert.throws(() => new MessageSplitter().push(Buffer.from("00000004", "hex")), RangeError);
    assert.throws(() => new MessageSplitter().push(Buffer.from("7fffffff", "hex")), RangeError);
  });
});

describe("a connection to libvirt", { timeout: 30_000 }, () => {
  test("matches answers to calls by their number, in whatever order they come", async () => {
    await using folder = await temporaryFolder();
    await using daemon = await fakeDaemon(join(folder.path, "sock"));
    let events = 0;
    const connection = await RpcConnection.open(
      join(folder.path, "sock"),
      () => (events += 1),
      () => undefined,
      never,
    );
    const first = connection.call("getVersion", Buffer.alloc(0), never);
    const second = connection.call("getLibVersion", Buffer.alloc(0), never);
    await eventually("both calls", () => Buffer.concat(daemon.calls()).length === 56);
    daemon.peer().write(answer("lifecycleEvent", 0, Buffer.alloc(0), 2, 0));
    daemon.peer().write(answer("getLibVersion", 2, new XdrWriter().uint(22).bytes(), 1, 0));
    daemon.peer().write(answer("getVersion", 1, new XdrWriter().uint(11).bytes(), 1, 0));
    assert.equal((await first).uint(), 11);
    assert.equal((await second).uint(), 22);
    assert.equal(events, 1);
    connection.close();
  });

  test("gives libvirt's error with its number and words", async () => {
    await using folder = await temporaryFolder();
    await using daemon = await fakeDaemon(join(folder.path, "sock"));
    const connection = await RpcConnection.open(
      join(folder.path, "sock"),
      () => undefined,
      () => undefined,
      never,
    );
    const call = connection.call("open", Buffer.alloc(0), never);
    await eventually("the call", () => daemon.calls().length > 0);
    daemon
      .peer()
      .write(answer("open", 1, new XdrWriter().int(42).int(10).optionalString("no domain").int(2).bytes(), 1, 1));
    await assert.rejects(
      call,
      (error) => error instanceof LibvirtError && error.number === 42 && error.message === "libvirt: no domain",
    );
    connection.close();
  });

  test("gives up a call at once when its signal aborts, and drops the late answer", async () => {
    await using folder = await temporaryFolder();
    await using daemon = await fakeDaemon(join(folder.path, "sock"));
    const connection = await RpcConnection.open(
      join(folder.path, "sock"),
      () => undefined,
      () => undefined,
      never,
    );
    const abort = new AbortController();
    const call = connection.call("open", Buffer.alloc(0), abort.signal);
    abort.abort(new Error("no longer wanted"));
    await assert.rejects(call, /no longer wanted/);
    const next = connection.call("getVersion", Buffer.alloc(0), never);
    await eventually("both calls", () => Buffer.concat(daemon.calls()).length === 56);
    daemon.peer().write(answer("open", 1, Buffer.alloc(0), 1, 0));
    daemon.peer().write(answer("getVersion", 2, new XdrWriter().uint(5).bytes(), 1, 0));
    assert.equal((await next).uint(), 5);
    connection.close();
  });

  for (const [how, end] of [
    ["ends", (socket: Socket) => socket.destroy()],
    ["speaks nonsense", (socket: Socket) => socket.write(Buffer.alloc(64, 0xff))],
    [
      "answers with an error that can't be read",
      (socket: Socket) => socket.write(answer("open", 1, Buffer.alloc(2), 1, 1)),
    ],
  ] as const) {
    test(`rejects what is open when the daemon ${how}`, async () => {
      await using folder = await temporaryFolder();
      await using daemon = await fakeDaemon(join(folder.path, "sock"));
      let ended = 0;
      const connection = await RpcConnection.open(
        join(folder.path, "sock"),
        () => undefined,
        () => (ended += 1),
        never,
      );
      const calls = [
        connection.call("open", Buffer.alloc(0), never),
        connection.call("getVersion", Buffer.alloc(0), never),
      ];
      await eventually("both calls", () => Buffer.concat(daemon.calls()).length === 56);
      end(daemon.peer());
      for (const result of await Promise.allSettled(calls)) {
        assert.ok(
          result.status === "rejected" &&
            result.reason instanceof SkerryError &&
            result.reason.code === "node-driver-failed",
        );
      }
      assert.equal(ended, 1);
      await assert.rejects(connection.call("open", Buffer.alloc(0), never), SkerryError);
    });
  }

  test("says where nobody listens, and what to look at", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "sock");
    await assert.rejects(
      RpcConnection.open(
        path,
        () => undefined,
        () => undefined,
        never,
      ),
      (error) => error instanceof SkerryError && error.message.includes(path) && error.remedy !== undefined,
    );
  });
});
