import { createHash } from "node:crypto";
import { SkerryError } from "@skerry/model";
import type { GuestDefinition } from "../../compute.ts";
import { checkedId } from "../../server-made-id.ts";
import { element, type XmlElement } from "./xml.ts";

/** Namespace of what Skerry notes in a domain. */
export const metadataNamespace = "https://skerry.dev/libvirt/1";

/** What the node decides about a guest, beside its definition. */
export interface GuestSetting {
  readonly accelerator: "kvm" | "tcg";
  /** Socket on which the serial line is served. */
  readonly consoleSocket: string;
  /** File to which all that the serial line prints is appended. */
  readonly consoleLog: string;
  /** Whether a disk's file system takes O_DIRECT. */
  readonly direct: (path: string) => boolean;
}

/** Memory for translated code, enough that a small guest never fills it; unbounded, QEMU would take a gigabyte. */
const translationCacheMiB = 128;

/**
 * The domain as libvirt wants it. All that varies is numbers in their range, and names and paths that the agent made and
 * that are checked again here; no field can carry what a tenant wrote.
 * @throws SkerryError invalid-request for a field that does not fit
 */
export function domainXml(guest: GuestDefinition, setting: GuestSetting): string {
  const id = checkedId("ins", guest.id);
  const kvm = setting.accelerator === "kvm";
  const domain = element("domain", { type: kvm ? "kvm" : "qemu" }, [
    element("name", {}, id),
    element("uuid", {}, domainUuid(id)),
    element("metadata", {}, [
      element("skerry:guest", {
        "xmlns:skerry": metadataNamespace,
        epoch: integer("epoch", guest.epoch, 0, Number.MAX_SAFE_INTEGER),
        generation: integer("generation", guest.generation, 0, Number.MAX_SAFE_INTEGER),
      }),
    ]),
    element("memory", { unit: "MiB" }, integer("memory in MiB", guest.memoryMiB, 1, 2 ** 34)),
    element("vcpu", {}, integer("number of vCPUs", guest.vcpus, 1, 512)),
    element("os", {}, [
      element("type", { arch: "x86_64", machine: "q35" }, "hvm"),
      element("boot", { dev: "hd" }),
      element("bootmenu", { enable: "no" }),
    ]),
    element("features", {}, [
      element("acpi", {}),
      element("apic", {}),
      ...(kvm ? [] : [element("tcg", {}, [element("tb-cache", { unit: "MiB" }, String(translationCacheMiB))])]),
    ]),
    cpu(kvm),
    element("clock", { offset: "utc" }, [element("timer", { name: "hpet", present: "no" })]),
    element("on_poweroff", {}, "destroy"),
    element("on_reboot", {}, "restart"),
    element("on_crash", {}, "destroy"),
    element("pm", {}, [element("suspend-to-mem", { enabled: "no" }), element("suspend-to-disk", { enabled: "no" })]),
    element("devices", {}, [
      ...guest.disks.map((disk, index) => diskElement(disk, index, setting)),
      element("controller", { type: "usb", model: "none" }),
      ...guest.nics.map(interfaceElement),
      ...(guest.devices ?? []).map(hostDeviceElement),
      element("serial", { type: "unix" }, [
        element("source", { mode: "bind", path: path("console socket", setting.consoleSocket) }),
        element("log", { file: path("console log", setting.consoleLog), append: "on" }),
        element("target", { type: "isa-serial", port: "0" }),
      ]),
      element("memballoon", { model: "virtio", freePageReporting: "on" }),
      element("rng", { model: "virtio" }, [element("backend", { model: "random" }, "/dev/urandom")]),
    ]),
  ]);
  return domain.text;
}

/** The same for an instance wherever it runs. */
export function domainUuid(id: string): string {
  const hash = createHash("sha256").update(`skerry guest ${id}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Epoch and generation out of the metadata that `domainXml` wrote; undefined where it is not ours. */
export function readMetadata(xml: string): { readonly epoch: number; readonly generation: number } | undefined {
  const epoch = /\sepoch=['"](\d{1,16})['"]/.exec(xml)?.[1];
  const generation = /\sgeneration=['"](\d{1,16})['"]/.exec(xml)?.[1];
  return epoch === undefined || generation === undefined
    ? undefined
    : { epoch: Number(epoch), generation: Number(generation) };
}

/** The host's own processor under KVM; under emulation a named one that every QEMU has, so that guests can move. */
function cpu(kvm: boolean): XmlElement {
  if (kvm) return element("cpu", { mode: "host-passthrough", check: "none", migratable: "on" });
  return element("cpu", { mode: "custom", match: "exact", check: "none" }, [
    element("model", { fallback: "forbid" }, "qemu64"),
  ]);
}

function diskElement(disk: GuestDefinition["disks"][number], index: number, setting: GuestSetting): XmlElement {
  const letter = "abcdefghijklmnopqrstuvwxyz"[index];
  if (letter === undefined) throw refused("number of disks", "more than 26");
  if (disk.format !== "qcow2" && disk.format !== "raw") throw refused("disk format", String(disk.format));
  const source = path("disk", disk.path);
  return element("disk", { type: "file", device: "disk" }, [
    // The format is always said: guessing it would let a guest name other files of the host.
    element("driver", {
      name: "qemu",
      type: disk.format,
      cache: setting.direct(source) ? "none" : "writeback",
      discard: "unmap",
    }),
    element("source", { file: source }),
    element("target", { dev: `vd${letter}`, bus: "virtio" }),
    ...(disk.readOnly ? [element("readonly", {})] : []),
  ]);
}

function interfaceElement(nic: GuestDefinition["nics"][number]): XmlElement {
  if (!/^[a-z][a-z0-9]{0,14}$/.test(nic.bridge)) throw refused("bridge", nic.bridge);
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(nic.mac)) throw refused("MAC address", nic.mac);
  return element("interface", { type: "bridge" }, [
    element("mac", { address: nic.mac }),
    element("source", { bridge: nic.bridge }),
    element("model", { type: "virtio" }),
    element("mtu", { size: integer("MTU", nic.mtu, 576, 65_535) }),
    // Its boot program would only look for a network to boot from.
    element("rom", { enabled: "no" }),
  ]);
}

/** libvirt takes it from the host for as long as the guest runs. */
function hostDeviceElement(at: string): XmlElement {
  const [, domain = "", bus = "", slot = "", unit = ""] =
    /^([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/.exec(at) ?? [];
  if (domain === "") throw refused("device", at);
  return element("hostdev", { mode: "subsystem", type: "pci", managed: "yes" }, [
    element("driver", { name: "vfio" }),
    element("source", {}, [
      element("address", { domain: `0x${domain}`, bus: `0x${bus}`, slot: `0x${slot}`, function: `0x${unit}` }),
    ]),
  ]);
}

function integer(what: string, value: number, from: number, to: number): string {
  if (!Number.isSafeInteger(value) || value < from || value > to) throw refused(what, String(value));
  return String(value);
}

function path(what: string, value: string): string {
  if (!/^(\/[A-Za-z0-9_.-]+)+$/.test(value) || value.split("/").includes("..")) throw refused(what, value);
  return value;
}

function refused(what: string, value: string): SkerryError {
  return new SkerryError("invalid-request", `${JSON.stringify(value.slice(0, 100))} can't be a guest's ${what}.`);
}
