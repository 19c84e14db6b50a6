import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError } from "@skerry/model";
import "@skerry/testkit/seed";
import type { GuestDefinition } from "../src/drivers/compute.ts";
import { domainUuid, domainXml, readMetadata, type GuestSetting } from "../src/drivers/compute/libvirt/domain-xml.ts";
import { guestState } from "../src/drivers/compute/libvirt/guest-state.ts";
import { element } from "../src/drivers/compute/libvirt/xml.ts";
import { newId } from "./contract/ids.ts";

const setting: GuestSetting = {
  accelerator: "tcg",
  consoleSocket: "/var/lib/skerry/guests/ins_x/console.sock",
  consoleLog: "/var/lib/skerry/guests/ins_x/console.log",
  direct: () => true,
};
const guest: GuestDefinition = {
  id: newId("ins"),
  epoch: 3,
  generation: 7,
  vcpus: 2,
  memoryMiB: 256,
  disks: [
    { path: "/var/lib/skerry/volumes/vol_x.qcow2", format: "qcow2", readOnly: false },
    { path: "/var/lib/skerry/seeds/ins_x.iso", format: "raw", readOnly: true },
  ],
  nics: [{ bridge: "skb01234567", mac: "52:54:00:12:34:56", mtu: 1370 }],
};
const isRefusal = (error: unknown): boolean => error instanceof SkerryError && error.code === "invalid-request";
/** Every value of a document's attributes and texts. */
const valuesIn = (xml: string): readonly string[] => xml.match(/"[^"]*"|>[^<]*</g) ?? [];

describe("a guest's domain", () => {
  test("is a q35 machine whose disks say their format, the seed read-only", () => {
    const xml = domainXml(guest, setting);
    assert.match(xml, /^<domain type="qemu"><name>ins_/);
    assert.match(xml, /<type arch="x86_64" machine="q35">hvm<\/type>/);
    assert.match(
      xml,
      /<driver name="qemu" type="qcow2" cache="none" discard="unmap"\/><source file="[^"]*vol_x.qcow2"\/><target dev="vda" bus="virtio"\/><\/disk>/,
    );
    assert.match(
      xml,
      /type="raw"[^>]*\/><source file="[^"]*ins_x.iso"\/><target dev="vdb" bus="virtio"\/><readonly\/>/,
    );
    assert.match(xml, /<memory unit="MiB">256<\/memory><vcpu>2<\/vcpu>/);
    assert.match(xml, /<mtu size="1370"\/>/);
    assert.match(xml, /<log file="[^"]*console.log" append="on"\/>/);
  });

  test("runs on the host's processor under KVM and on a common one under emulation", () => {
    assert.match(
      domainXml(guest, { ...setting, accelerator: "kvm" }),
      /^<domain type="kvm">.*<cpu mode="host-passthrough"/,
    );
    assert.match(domainXml(guest, setting), /<model fallback="forbid">qemu64<\/model>/);
  });

  test("caches in the host's memory only where the file system needs it", () => {
    const xml = domainXml(guest, { ...setting, direct: (path) => path.endsWith(".iso") });
    assert.match(xml, /type="qcow2" cache="writeback"/);
    assert.match(xml, /type="raw" cache="none"/);
  });

  test("has the host's devices that are its own by their addresses, and none otherwise", () => {
    const xml = domainXml({ ...guest, devices: ["0000:41:00.0", "0000:41:00.1"] }, setting);
    const hostdev = (unit: number): string =>
      '<hostdev mode="subsystem" type="pci" managed="yes"><driver name="vfio"/>' +
      `<source><address domain="0x0000" bus="0x41" slot="0x00" function="0x${unit}"/></source></hostdev>`;
    assert.ok(xml.includes(hostdev(0) + hostdev(1)), xml);
    assert.ok(!domainXml(guest, setting).includes("hostdev"));
  });

  test("refuses what is no PCI address", () => {
    const others = ["", "41:00.0", "0000:41:00.8", "0000:41:20.0", "0000:4G:00.0", "0000:41:00.0\n", " 0000:41:00.0"];
    const hostile = [
      "/sys/bus/pci/devices/0000:41:00.0",
      "../0000:41:00.0",
      "-device",
      '0"/><disk',
      "0000:41:00.0,x=y",
    ];
    for (const address of [...others, ...hostile])
      assert.throws(() => domainXml({ ...guest, devices: [address] }, setting), isRefusal, address);
  });

  test("carries its epoch and generation, to be read back", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: Number.MAX_SAFE_INTEGER }),
        fc.nat({ max: Number.MAX_SAFE_INTEGER }),
        (epoch, generation) => {
          const xml = domainXml({ ...guest, epoch, generation }, setting);
          assert.deepEqual(readMetadata(/<skerry:guest[^>]*>/.exec(xml)?.[0] ?? ""), { epoch, generation });
        },
      ),
    );
    assert.equal(readMetadata(""), undefined);
    assert.equal(readMetadata("<x epoch='1'/>"), undefined);
  });

  test("has the same identity wherever it runs, and one of its own", () => {
    assert.equal(domainUuid(guest.id), domainUuid(guest.id));
    assert.match(domainUuid(guest.id), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(new Set(Array.from({ length: 500 }, () => domainUuid(newId("ins")))).size, 500);
  });

  test("holds nothing hostile: what does not fit a pattern is refused before there is any XML", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "'/><disk",
        '"><!--',
        "]]>",
        "&x;",
        "a\nb",
        "/etc/../x",
        "-drive",
        "/x,y",
        "52:54:00:12:34:56\n",
        "skb0 ",
        "/",
      ),
    );
    const hostile = fc.record({
      ...{ id: text, path: text, bridge: text, mac: text, number: fc.double(), socket: text },
      device: text,
    });
    fc.assert(
      fc.property(
        hostile,
        fc.subarray(["id", "path", "bridge", "mac", "number", "socket", "device"], { minLength: 1 }),
        (values, fields) => {
          const take = <T>(field: string, bad: T, good: T): T => (fields.includes(field) ? bad : good);
          let xml;
          try {
            xml = domainXml(
              {
                ...guest,
                id: take("id", values.id, guest.id),
                vcpus: take("number", values.number, 1),
                memoryMiB: take("number", values.number, 64),
                devices: [take("device", values.device, "0000:41:00.0")],
                disks: [{ path: take("path", values.path, "/a"), format: "raw", readOnly: false }],
                nics: [
                  {
                    bridge: take("bridge", values.bridge, "skb0"),
                    mac: take("mac", values.mac, "52:54:00:12:34:56"),
                    mtu: take("number", values.number, 1370),
                  },
                ],
              },
              { ...setting, consoleSocket: take("socket", values.socket, "/s") },
            );
          } catch (error) {
            assert.ok(isRefusal(error), String(error));
            return;
          }
          for (const value of valuesIn(xml)) assert.match(value, /^["><][A-Za-z0-9_.:/-]*["><]$/);
        },
      ),
      { numRuns: 1000 },
    );
    // What leaves its folder fits no pattern, though each of its characters does.
    for (const path of ["/var/../etc/shadow", "/..", "/a/.."]) {
      const disks = [{ path, format: "raw", readOnly: false }] as const;
      assert.throws(() => domainXml({ ...guest, disks }, setting), isRefusal, path);
      assert.throws(() => domainXml(guest, { ...setting, consoleSocket: path }), isRefusal, path);
    }
    for (const number of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, -1]) {
      for (const field of ["vcpus", "memoryMiB", "epoch", "generation"]) {
        assert.throws(() => domainXml({ ...guest, [field]: number }, setting), isRefusal, `${field} ${number}`);
      }
    }
    assert.throws(
      () => domainXml({ ...guest, disks: [{ path: "/a", format: "vmdk" as "raw", readOnly: false }] }, setting),
      isRefusal,
    );
    assert.throws(
      () =>
        domainXml(
          {
            ...guest,
            disks: Array.from({ length: 27 }, () => ({ path: "/a", format: "raw" as const, readOnly: false })),
          },
          setting,
        ),
      isRefusal,
    );
  });
});

describe("XML", () => {
  test("escapes whatever text it is given", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        fc.pre(!/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text)); // oxlint-disable-line no-control-regex
        const { text: xml } = element("a", { b: text }, text);
        const inside = /^<a b="([^"<>]*)"(?:\/>|>([^<>]*)<\/a>)$/.exec(xml);
        assert.ok(inside, xml);
        const plain = (inside[1] ?? "")
          .replaceAll("&lt;", "<")
          .replaceAll("&gt;", ">")
          .replaceAll("&quot;", '"')
          .replaceAll("&apos;", "'")
          .replaceAll("&amp;", "&");
        assert.equal(plain, text);
      }),
    );
  });

  test("refuses what XML can't hold", () => {
    for (const text of ["\0", "\u001b", "\ud800", "\uffff"]) assert.throws(() => element("a", { b: text }), RangeError);
  });
});

describe("libvirt's states", () => {
  test("mean what a guest's state says", () => {
    assert.equal(guestState(1, 1).state, "running");
    assert.equal(guestState(4, 1).state, "stopping");
    assert.equal(guestState(5, 1).state, "stopped");
    assert.equal(guestState(5, 2).state, "stopped");
    assert.equal(guestState(5, 3).state, "failed");
    assert.equal(guestState(6, 1).state, "failed");
  });

  test("count a paused guest as running, since it holds its disks, and say why it is paused", () => {
    assert.deepEqual(guestState(3, 1), { state: "running" });
    assert.equal(guestState(3, 5).state, "running");
    assert.match(guestState(3, 5).error ?? "", /disk/);
  });
});
