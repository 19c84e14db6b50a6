import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import type { ComputeDriver, Guest, GuestDefinition } from "../../src/drivers/compute.ts";
import { eventually } from "./deadline.ts";
import { newId } from "./ids.ts";

/** What a driver brings to the suite; `close` ends and removes whatever was made. */
export interface ComputeContractSetup {
  /** Opens the driver over the same hypervisor, as after a restart of the agent; the one before is not used any more. */
  open(): Promise<ComputeDriver>;
  /** A guest that can be booted, with disks of its own. */
  definition(id: string): Promise<GuestDefinition>;
  /** Longest time that a guest takes to boot and to react to a shutdown request. */
  readonly bootMs: number;
  /** Text that the serial line shows while booting. */
  readonly bootText: RegExp;
  /** A line to send to the console, and what then comes back. */
  readonly conversation: { readonly send: string; readonly expect: RegExp };
  /** Where the guest serves HTTP, if the setup gives it a network. */
  readonly http?: { readonly address: string; readonly port: number };
  close(): Promise<void>;
}

const never = new AbortController().signal;

async function guestOf(driver: ComputeDriver, id: string): Promise<Guest | undefined> {
  return (await driver.list(never)).find((guest) => guest.id === id);
}

/** Waits for `pattern` in what `stream` gives; fails with what came instead. */
async function readUntil(stream: NodeJS.ReadableStream, pattern: RegExp, timeoutMs: number): Promise<string> {
  let text = "";
  const signal = AbortSignal.timeout(timeoutMs);
  const onData = (chunk: Buffer): void => {
    text += chunk.toString("latin1");
  };
  stream.on("data", onData);
  try {
    await eventually(`${String(pattern)} on the stream`, () => pattern.test(text), timeoutMs);
  } catch (error) {
    throw new Error(`${String(error)}; it gave: ${text.slice(-2000)}`, { cause: error });
  } finally {
    stream.off("data", onData);
    signal.throwIfAborted();
  }
  return text;
}

/** The behaviour that every compute driver owes. Tests that boot share one guest, since real ones boot slowly. */
export function computeDriverContract(title: string, prepare: () => Promise<ComputeContractSetup>): void {
  const check = (name: string, body: (driver: ComputeDriver, setup: ComputeContractSetup) => Promise<void>): void => {
    test(name, async () => {
      const setup = await prepare();
      try {
        await body(await setup.open(), setup);
      } finally {
        await setup.close();
      }
    });
  };

  describe(title, () => {
    check("says what it accelerates with and stands on", async (driver) => {
      const probe = await driver.probe(never);
      if (driver.name === "libvirt" && probe.accelerator !== "kvm")
        assert.ok(probe.reason !== undefined && probe.reason.length > 10);
      assert.ok(Object.keys(probe.versions).length > 0);
    });

    check("defines a guest, replaces its definition, and forgets it", async (driver, setup) => {
      const id = newId("ins");
      const definition = await setup.definition(id);
      await driver.define(definition, never);
      const defined = await guestOf(driver, id);
      assert.equal(defined?.state, "stopped");
      assert.equal(defined.epoch, definition.epoch);
      assert.equal(defined.generation, definition.generation);
      await driver.define({ ...definition, epoch: definition.epoch + 1, generation: 9, vcpus: 2 }, never);
      const replaced = await guestOf(await setup.open(), id);
      assert.equal(replaced?.epoch, definition.epoch + 1);
      assert.equal(replaced.generation, 9);
      await driver.undefine(id, never);
      await driver.undefine(id, never);
      assert.equal(await guestOf(driver, id), undefined);
    });

    check("a guest that is not there counts as stopped", async (driver) => {
      const id = newId("ins");
      await driver.kill(id, never);
      await driver.shutdown(id, never);
      await driver.undefine(id, never);
    });

    check("runs a guest through its whole life", async (driver, setup) => {
      const id = newId("ins");
      const before = Date.now();
      await driver.define(await setup.definition(id), never);
      let changes = 0;
      const unsubscribe = driver.onChange(() => (changes += 1));
      await driver.start(id, never);
      await driver.start(id, never);
      const running = await guestOf(driver, id);
      assert.equal(running?.state, "running");
      const startedAtMs = running.startedAtMs ?? 0;
      // The start time may be derived from the process's age in clock ticks.
      assert.ok(
        startedAtMs >= before - 2000 && startedAtMs <= Date.now() + 2000,
        `started at ${startedAtMs}, now ${Date.now()}`,
      );
      await eventually("a change was told", () => changes > 0, 10_000);
      unsubscribe();

      // The guest outlives the driver's object, as it outlives the agent.
      const again = await setup.open();
      const found = await guestOf(again, id);
      assert.equal(found?.state, "running");
      assert.ok(Math.abs((found.startedAtMs ?? 0) - startedAtMs) < 2000, "the same start time after a restart");
      await assert.rejects(
        again.define(await setup.definition(id), never),
        "a running guest's definition is not replaced",
      );

      const log = await again.consoleLog(id, { follow: true, maxBytes: 65_536 }, never);
      await readUntil(log, setup.bootText, setup.bootMs);
      log.destroy();

      const console = await again.console(id, never);
      const heard = readUntil(console, setup.conversation.expect, setup.bootMs);
      const speak = setInterval(() => console.write(setup.conversation.send), 500);
      try {
        console.write(setup.conversation.send);
        await heard;
      } finally {
        clearInterval(speak);
      }

      const { http } = setup;
      if (http !== undefined) {
        const answer = await eventually(
          "an answer over HTTP",
          async () => {
            let stream: Duplex;
            try {
              stream = await again.dial(id, http.address, http.port, AbortSignal.timeout(3000));
            } catch {
              return undefined; // Not listening yet.
            }
            stream.on("error", () => undefined);
            stream.write(`GET / HTTP/1.0\r\nHost: ${http.address}\r\n\r\n`);
            try {
              return await readUntil(stream, /\r\n\r\n/, 3000);
            } catch {
              return undefined; // Accepted before the guest serves.
            } finally {
              stream.destroy();
            }
          },
          setup.bootMs,
          200,
        );
        assert.match(answer, /^HTTP\/1\.[01] 200/);
      }

      const consoleClosed = once(console, "close");
      console.resume();
      await eventually(
        "the guest shut down after it was asked to",
        async () => {
          await again.shutdown(id, never);
          return (await guestOf(again, id))?.state === "stopped";
        },
        setup.bootMs,
        500,
      );
      await consoleClosed;

      // What was printed stays readable while the guest is stopped.
      const past = await again.consoleLog(id, { follow: false, maxBytes: 65_536 }, never);
      let text = "";
      for await (const chunk of past) text += String(chunk);
      assert.match(text, setup.bootText);

      await again.start(id, never);
      await assert.rejects(again.undefine(id, never), "a running guest is not forgotten");
      await again.kill(id, never);
      await again.kill(id, never);
      assert.equal((await guestOf(again, id))?.state, "stopped");
      await again.undefine(id, never);
      assert.equal(await guestOf(again, id), undefined);
    });

    check("gives at most as many bytes of the console log as asked for", async (driver, setup) => {
      const id = newId("ins");
      await driver.define(await setup.definition(id), never);
      await driver.start(id, never);
      const follow = await driver.consoleLog(id, { follow: true, maxBytes: 65_536 }, never);
      await readUntil(follow, setup.bootText, setup.bootMs);
      follow.destroy();
      await driver.kill(id, never);
      const tail = await driver.consoleLog(id, { follow: false, maxBytes: 10 }, never);
      let length = 0;
      for await (const chunk of tail) length += (chunk as Buffer).length;
      assert.equal(length, 10);
    });

    check("refuses the console of a guest that does not run", async (driver) => {
      await assert.rejects(driver.console(newId("ins"), never));
      await assert.rejects(driver.dial(newId("ins"), "10.0.0.2", 80, AbortSignal.timeout(5000)));
    });
  });
}
