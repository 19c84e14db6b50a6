import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { readPciDevices } from "../src/pci-devices.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/* No machine that tests run on need have a device to spare: the kernel's view of some is made as a tree of files. */

interface Made {
  readonly class: string;
  readonly id: string;
  readonly group?: number;
  readonly driver?: string;
  readonly numa?: number;
}

const display = "0x030000";
const controller3d = "0x030200";
const audio = "0x040300";
const bridge = "0x060400";
const ethernet = "0x020000";

/** As sysfs has it, with links as the kernel makes them. */
async function sysfsOf(root: string, functions: Readonly<Record<string, Made>>, drivers = ["vfio-pci"]): Promise<void> {
  for (const name of drivers) await mkdir(join(root, "bus/pci/drivers", name), { recursive: true });
  await mkdir(join(root, "bus/pci/devices"), { recursive: true });
  for (const [address, made] of Object.entries(functions)) {
    const folder = join(root, "devices/pci0000:00", address);
    await mkdir(folder, { recursive: true });
    const [vendor, device] = made.id.split(":");
    await writeFile(join(folder, "class"), `${made.class}\n`);
    await writeFile(join(folder, "vendor"), `0x${vendor}\n`);
    await writeFile(join(folder, "device"), `0x${device}\n`);
    await writeFile(join(folder, "numa_node"), `${made.numa ?? -1}\n`);
    if (made.group !== undefined)
      await link(join(folder, "iommu_group"), join(root, "kernel/iommu_groups", String(made.group)));
    if (made.driver !== undefined) await link(join(folder, "driver"), join(root, "bus/pci/drivers", made.driver));
    await link(join(root, "bus/pci/devices", address), folder);
  }
}

async function link(at: string, target: string): Promise<void> {
  await mkdir(dirname(at), { recursive: true });
  await mkdir(target, { recursive: true });
  await symlink(target, at);
}

async function devicesIn(functions: Readonly<Record<string, Made>>, drivers?: string[]) {
  await using folder = await temporaryFolder();
  await sysfsOf(folder.path, functions, drivers);
  return await readPciDevices(folder.path);
}

const gpu: Made = { class: controller3d, id: "10de:20b0", group: 17, driver: "vfio-pci", numa: 1 };

describe("the devices that a host may give to guests", () => {
  test("are GPUs with their model, group and NUMA cell, each with its own other functions", async () => {
    const found = await devicesIn({
      "0000:00:01.0": { class: bridge, id: "8086:1901", group: 1, driver: "pcieport" },
      "0000:01:00.0": { class: display, id: "10de:2204", group: 1, driver: "vfio-pci", numa: 0 },
      "0000:01:00.1": { class: audio, id: "10de:1aef", group: 1, driver: "vfio-pci" },
      "0000:41:00.0": gpu,
    });
    assert.deepEqual(found, [
      {
        ...{ kind: "gpu", model: "10de:2204", address: "0000:01:00.0", iommuGroup: 1, numaCell: 0 },
        functions: ["0000:01:00.1"],
      },
      { kind: "gpu", model: "10de:20b0", address: "0000:41:00.0", iommuGroup: 17, numaCell: 1 },
    ]);
  });

  test("are none that share their IOMMU group with another device", async () => {
    const found = await devicesIn({
      "0000:41:00.0": gpu,
      "0000:42:00.0": { class: ethernet, id: "8086:1572", group: 17, driver: "vfio-pci" },
    });
    assert.deepEqual(found, []);
  });

  test("are none without an IOMMU group", async () => {
    const { group: _none, ...open } = gpu;
    assert.deepEqual(await devicesIn({ "0000:41:00.0": open }), []);
  });

  test("are GPUs that no driver has, as long as they can be bound, and none that the host uses", async () => {
    const { driver: _none, ...free } = gpu;
    const addresses = async (made: Made, drivers?: string[]) =>
      (await devicesIn({ "0000:41:00.0": made }, drivers)).map(({ address }) => address);
    assert.deepEqual(await addresses(free), ["0000:41:00.0"]);
    assert.deepEqual(await addresses({ ...gpu, driver: "pci-stub" }), ["0000:41:00.0"]);
    assert.deepEqual(await addresses(free, ["nouveau"]), []);
    assert.deepEqual(await addresses({ ...gpu, driver: "nouveau" }), []);
    // Its sound is in use by the host.
    const found = await devicesIn({
      "0000:41:00.0": gpu,
      "0000:41:00.1": { class: audio, id: "10de:1aef", group: 17, driver: "snd_hda_intel" },
    });
    assert.deepEqual(found, []);
  });

  test("are others only once they were bound to vfio-pci", async () => {
    const card: Made = { class: ethernet, id: "8086:1572", group: 9 };
    assert.deepEqual(await devicesIn({ "0000:05:00.0": card }), []);
    assert.deepEqual(await devicesIn({ "0000:05:00.0": { ...card, driver: "i40e" } }), []);
    assert.deepEqual(await devicesIn({ "0000:05:00.0": { ...card, driver: "vfio-pci" } }), [
      { kind: "pci", model: "8086:1572", address: "0000:05:00.0", iommuGroup: 9 },
    ]);
    const bridges: Made = { class: bridge, id: "8086:1901", group: 1, driver: "vfio-pci" };
    assert.deepEqual(await devicesIn({ "0000:00:01.0": bridges }), []);
  });

  test("are none on a host without PCI, and none whose address is not of the usual form", async () => {
    await using folder = await temporaryFolder();
    assert.deepEqual(await readPciDevices(join(folder.path, "nothing")), []);
    assert.deepEqual(await devicesIn({ "10000:e1:00.0": gpu }), []);
  });
});
