import { isIPv4 } from "node:net";
import { SkerryError } from "@skerry/model";
import type { IsoFile } from "./iso9660.ts";

/** What a guest learns from its seed. */
export interface GuestSeed {
  /** cloud-init runs its once-per-instance work again when this changes, so it is the instance's id and survives moves. */
  readonly instanceId: string;
  readonly hostname: string;
  readonly sshKeys: readonly string[];
  /** The tenant's own, given on untouched. */
  readonly userData?: string;
  readonly nics: readonly {
    readonly mac: string;
    /** IPv4 with prefix length. */
    readonly address: string;
    readonly gateway: string;
    readonly mtu: number;
  }[];
}

/** Label by which a guest finds its seed among its disks. */
export const seedVolumeId = "cidata";

/**
 * The files of a NoCloud seed. Keys are in the metadata, where cloud-init reads them whatever the user data is; where the
 * tenant gave none, the user data says them too, for small guests that read only that.
 * The YAML is made of fields that fit a pattern and of quoted strings; the tenant's user data is a file by itself.
 * @throws SkerryError invalid-request where a field does not fit
 */
export function noCloudFiles(seed: GuestSeed): readonly IsoFile[] {
  const keys = seed.sshKeys.map((key) => `  - ${yamlString(checked(/^[^\r\n]{1,4096}$/, key, "SSH key"))}\n`).join("");
  const metaData =
    `instance-id: ${checked(/^[a-z]+_[0-9a-z]+$/, seed.instanceId, "instance id")}\n` +
    `local-hostname: ${checked(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, seed.hostname, "host name")}\n` +
    (keys === "" ? "" : `public-keys:\n${keys}`);
  const userData = seed.userData ?? `#cloud-config\n${keys === "" ? "{}\n" : `ssh_authorized_keys:\n${keys}`}`;
  return [
    { name: "meta-data", content: Buffer.from(metaData, "utf8") },
    { name: "network-config", content: Buffer.from(networkConfig(seed.nics), "utf8") },
    { name: "user-data", content: Buffer.from(userData, "utf8") },
  ];
}

/** Network configuration version 2. Only the first interface has a default route; names are resolved by no server of ours. */
function networkConfig(nics: GuestSeed["nics"]): string {
  if (nics.length === 0) return "version: 2\nethernets: {}\n";
  return `version: 2\nethernets:\n${nics.map(ethernet).join("")}`;
}

function ethernet(nic: GuestSeed["nics"][number], index: number): string {
  const [ip = "", prefix = ""] = nic.address.split("/");
  if (!isIPv4(ip) || !/^([0-9]|[12][0-9]|3[0-2])$/.test(prefix)) throw refused("address", nic.address);
  if (!isIPv4(nic.gateway)) throw refused("gateway", nic.gateway);
  if (!Number.isInteger(nic.mtu) || nic.mtu < 576 || nic.mtu > 65_535) throw refused("MTU", String(nic.mtu));
  const mac = checked(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, nic.mac, "MAC address");
  const lines = [
    `  nic${index}:`,
    "    match:",
    `      macaddress: "${mac}"`,
    `    mtu: ${nic.mtu}`,
    "    dhcp4: false",
    "    addresses:",
    `      - ${ip}/${prefix}`,
    ...(index === 0 ? ["    routes:", "      - to: 0.0.0.0/0", `        via: ${nic.gateway}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** A string as YAML reads it back: plain where that is safe, else double-quoted and in ASCII. */
export function yamlString(text: string): string {
  // Words that begin with a letter, are longer than any keyword or number, and hold no character that YAML gives a meaning.
  if (/^[a-z][a-z0-9-]{5,} [A-Za-z0-9+/=]+( [A-Za-z0-9_.@+-]+)?$/.test(text)) return text;
  const escaped = text.replace(/["\\]/g, "\\$&").replace(/[^\x20-\x7e]/gu, (character) => {
    return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;
  });
  return `"${escaped}"`;
}

function checked(pattern: RegExp, value: string, what: string): string {
  if (!pattern.test(value)) throw refused(what, value);
  return value;
}

function refused(what: string, value: string): SkerryError {
  return new SkerryError("invalid-request", `${JSON.stringify(value.slice(0, 80))} can't be a guest's ${what}.`);
}
