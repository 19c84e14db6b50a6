import assert from "node:assert/strict";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ComputeDriver, GuestDefinition } from "../../src/drivers/compute.ts";
import { openLibvirt } from "../../src/drivers/compute/libvirt/libvirt-guests.ts";
import { computeDriverContract } from "../contract/compute-contract.ts";
import { eventually } from "../contract/deadline.ts";
import { newId } from "../contract/ids.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { enterOwnNamespaces } from "./own-namespaces.ts";
import { greeting, writeLittleGuest } from "./little-guest.ts";
import { libvirtPackages, startLibvirt, type PrivateLibvirt } from "./private-libvirt.ts";

enterOwnNamespaces(import.meta.url, libvirtPackages);

// As the agent's unit has it.
process.umask(0o077);

const never = new AbortController().signal;
let libvirt: PrivateLibvirt;

before(async () => {
  libvirt = await startLibvirt();
});
after(async () => {
  await libvirt[Symbol.asyncDispose]();
});

interface Place extends AsyncDisposable {
  readonly folder: string;
  open(): ComputeDriver;
  definition(id: string): Promise<GuestDefinition>;
}

/** A folder with disks of little guests, and drivers over the one libvirt; guests that are left go with it. */
async function makePlace(): Promise<Place> {
  const temporary = await temporaryFolder();
  // QEMU runs as a user of its own and has to get through to the disks.
  await chmod(temporary.path, 0o711);
  const folder = join(temporary.path, "guests");
  const opened: ReturnType<typeof openLibvirt>[] = [];
  const open = (): ComputeDriver => {
    const driver = openLibvirt({ folder });
    opened.push(driver);
    return driver;
  };
  return {
    folder,
    open,
    async definition(id) {
      const disks = join(temporary.path, "disks");
      await mkdir(disks, { recursive: true });
      await chmod(disks, 0o711);
      const path = join(disks, `${id}.raw`);
      await writeLittleGuest(path);
      return {
        id,
        epoch: 1,
        generation: 1,
        vcpus: 1,
        memoryMiB: 64,
        disks: [{ path, format: "raw", readOnly: false }],
        nics: [],
      };
    },
    async [Symbol.asyncDispose]() {
      const driver = open();
      for (const guest of await driver.list(never)) {
        await driver.kill(guest.id, never);
        await driver.undefine(guest.id, never);
      }
      for (const each of opened) each[Symbol.dispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

computeDriverContract("the libvirt driver", async () => {
  const place = await makePlace();
  return {
    open: async () => place.open(),
    definition: (id) => place.definition(id),
    bootMs: 30_000,
    bootText: new RegExp(greeting),
    conversation: { send: "hello\r\n", expect: /hello/ },
    async close() {
      await place[Symbol.asyncDispose]();
    },
  };
});

describe("the libvirt driver", () => {
  test("goes on after libvirt's daemon was restarted, with its guests", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    await driver.define(await place.definition(id), never);
    await driver.start(id, never);
    const [before] = await driver.list(never);
    let changes = 0;
    const unsubscribe = driver.onChange(() => (changes += 1));
    await libvirt.restart();
    const [after] = await eventually("the list again", () => driver.list(never).catch(() => undefined), 20_000);
    assert.deepEqual({ ...after, cpuSeconds: 0 }, { ...before, cpuSeconds: 0 });
    await eventually("the gap was told", () => changes > 0, 20_000);
    changes = 0;
    await driver.kill(id, never);
    await eventually("changes are told over the new connection", () => changes > 0, 10_000);
    unsubscribe();
  });
});
