import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import type { ComputeDriver, Guest, GuestDefinition } from "../../src/drivers/compute.ts";
import { rememberedAccelerator } from "../../src/drivers/compute/libvirt/accelerator.ts";
import { domainXml } from "../../src/drivers/compute/libvirt/domain-xml.ts";
import { findGuestProcess } from "../../src/drivers/compute/libvirt/guest-process.ts";
import { openLibvirt } from "../../src/drivers/compute/libvirt/libvirt-guests.ts";
import { runProgram } from "../../src/drivers/run-program.ts";
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
/** What guests can run on is found once, in this folder; it takes seconds on machines whose KVM does not work. */
let probed: Awaited<ReturnType<typeof temporaryFolder>>;

before(async () => {
  libvirt = await startLibvirt();
  probed = await temporaryFolder();
  await rememberedAccelerator(probed.path, never);
});
after(async () => {
  await probed[Symbol.asyncDispose]();
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
  await mkdir(folder);
  await copyFile(join(probed.path, "accelerator.json"), join(folder, "accelerator.json"));
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

describe("a guest of libvirt", () => {
  const guestIn = async (driver: ComputeDriver, id: string): Promise<Guest | undefined> =>
    (await driver.list(never)).find((guest) => guest.id === id);

  test("is taken up again after libvirt's daemon was restarted, and its changes are told again", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    await driver.define(await place.definition(id), never);
    await driver.start(id, never);
    const before = await guestIn(driver, id);
    let changes = 0;
    const unsubscribe = driver.onChange(() => (changes += 1));
    await libvirt.restart();
    const after = await eventually("the list again", () => guestIn(driver, id).catch(() => undefined), 20_000);
    assert.deepEqual({ ...after, cpuSeconds: 0 }, { ...before, cpuSeconds: 0 });
    await eventually("the gap was told", () => changes > 0, 20_000);
    await driver.kill(id, never);
    changes = 0;
    // Somebody else's doing, of which nothing but libvirt tells.
    await place.open().define(await place.definition(newId("ins")), never);
    await eventually("changes are told over the new connection", () => changes > 0, 10_000);
    unsubscribe();
  });

  test("that has a device of the host is a domain by libvirt's own schema, and does not start where there is none", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    const definition = { ...(await place.definition(id)), devices: ["0000:41:00.0", "0000:41:00.1"] };
    const xml = domainXml(definition, {
      accelerator: "tcg",
      consoleSocket: join(place.folder, "console.sock"),
      consoleLog: join(place.folder, "console.log"),
      direct: () => true,
    });
    const path = join(place.folder, "domain.xml");
    const validated = async (text: string): Promise<void> => {
      await writeFile(path, text);
      await runProgram(["virsh", "-c", "qemu:///system", "define", "--validate", path], never);
    };
    await validated(xml);
    await runProgram(["virsh", "-c", "qemu:///system", "undefine", id], never);
    await assert.rejects(
      validated(xml.replace('managed="yes"', 'managed="perhaps"')),
      /XML document failed to validate/,
    );
    await driver.define(definition, never);
    await assert.rejects(driver.start(id, never), /VFIO|0000:41:00.0/);
  });

  test("shows that its process was killed, and starts again", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    await driver.define(await place.definition(id), never);
    await driver.start(id, never);
    const pid = await findGuestProcess(id);
    assert.ok(pid !== undefined);
    process.kill(pid, "SIGKILL");
    const failed = await eventually(
      "the failure",
      async () => {
        const guest = await guestIn(driver, id);
        return guest?.state === "failed" ? guest : undefined;
      },
      10_000,
    );
    assert.match(failed.error ?? "", /ended unexpectedly/);
    await driver.start(id, never);
    assert.equal((await guestIn(driver, id))?.state, "running");
  });

  test("leaves no process and no open disk behind when it was killed", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    const definition = await place.definition(id);
    const [disk] = definition.disks;
    assert.ok(disk);
    await driver.define(definition, never);
    await driver.start(id, never);
    assert.equal((await holdersOf(disk.path)).length, 1);
    await driver.kill(id, never);
    assert.deepEqual(await holdersOf(disk.path), []);
    assert.equal(await findGuestProcess(id), undefined);
  });

  test("is told from domains that others made, which are left alone", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const names = ["web", newId("ins")];
    for (const name of names) {
      const xml = join(place.folder, "..", "other.xml");
      await writeFile(
        xml,
        `<domain type="qemu"><name>${name}</name><memory>65536</memory><os><type machine="q35">hvm</type></os></domain>`,
      );
      await runProgram(["virsh", "define", xml], never);
    }
    assert.deepEqual(await driver.list(never), []);
    for (const name of names) await runProgram(["virsh", "undefine", name], never);
  });

  test("names what is wrong when it can't start, in libvirt's words", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    const definition = await place.definition(id);
    await driver.define(definition, never);
    await rm(definition.disks[0]?.path ?? "");
    await assert.rejects(driver.start(id, never), (error) => {
      assert.ok(error instanceof SkerryError && error.code === "node-driver-failed");
      assert.match(error.message, /libvirt: .*No such file/);
      assert.doesNotMatch(error.message, /</);
      return true;
    });
    await assert.rejects(driver.start(newId("ins"), never), /not defined/);
    assert.notEqual((await guestIn(driver, id))?.state, "running");
  });

  test("keeps its name's console for all who look, and the log goes on when nobody does", async () => {
    await using place = await makePlace();
    const driver = place.open();
    const id = newId("ins");
    await driver.define(await place.definition(id), never);
    await driver.start(id, never);
    const consoles = await Promise.all([
      driver.console(id, never),
      driver.console(id, never),
      place
        .open()
        .console(id, never)
        .catch(() => undefined),
    ]);
    const [one, two] = consoles;
    let heard = "";
    two.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
    one.resume();
    await eventually(
      "the other one's words",
      () => {
        one.write("abc");
        return heard.includes("abc");
      },
      15_000,
      200,
    );
    for (const each of consoles) each?.destroy();
    const log = await driver.consoleLog(id, { follow: false, maxBytes: 65_536 }, never);
    let text = "";
    for await (const chunk of log) text += String(chunk);
    assert.match(text, new RegExp(`${greeting}[^]*abc`));
  });
});

describe("what guests can run on", () => {
  test("is found by booting something, once", async () => {
    const startedAt = performance.now();
    const found = await rememberedAccelerator(probed.path, never);
    assert.ok(performance.now() - startedAt < 200, "from memory");
    if (found.accelerator === "tcg") assert.match(found.reason ?? "", /kvm/);
    await writeFile(join(probed.path, "accelerator.json"), "{");
    // The reason may tell how long it took, which differs from time to time.
    assert.equal((await rememberedAccelerator(probed.path, never)).accelerator, found.accelerator);
  });
});

/** Processes that hold a file open. */
async function holdersOf(path: string): Promise<readonly string[]> {
  const holders: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => "")));
    if (links.includes(path)) holders.push(pid);
  }
  return holders;
}
