import { hash } from "node:crypto";
import { invalidField } from "../refusal.ts";
import { canonical, formatAddress, formatCidr, overlaps, parseCidr, sizeOf, type Cidr } from "./ipv4.ts";

const reserved = ["0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].map(known);

/** A network's address range. @throws SkerryError invalid-request where it is none that guests can use */
export function checkedCidr(text: string): Cidr {
  const path = "/spec/cidr";
  const cidr = parseCidr(text);
  if (cidr === undefined || cidr.prefix < 16 || cidr.prefix > 29) {
    throw invalidField(path, "must be an IPv4 network from /16 to /29", "For example 10.20.0.0/24.");
  }
  const clean = canonical(cidr);
  if (clean.base !== cidr.base) {
    throw invalidField(path, `has bits set beyond its prefix`, `You probably mean ${formatCidr(clean)}.`);
  }
  const clash = reserved.find((range) => overlaps(range, clean));
  if (clash !== undefined) {
    throw invalidField(
      path,
      `lies in ${formatCidr(clash)}, which guests can not use`,
      "Take a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.",
    );
  }
  return clean;
}

/** Whether two networks' ranges share an address. */
export function cidrsOverlap(one: string, other: string): boolean {
  return overlaps(canonical(known(one)), canonical(known(other)));
}

/** What a network's range comes to. */
interface NetworkRange {
  readonly prefix: number;
  /** The first address, which every node that carries the network answers at. */
  readonly gateway: string;
  /** The addresses that instances may have, in numbers: from the first after the gateway to the last before the broadcast. */
  readonly first: number;
  readonly last: number;
}

/** Every wanted state asks for those of all its networks. */
const ranges = new Map<string, NetworkRange>();
const keptRanges = 4096;

export function rangeOf(cidr: string): NetworkRange {
  const kept = ranges.get(cidr);
  if (kept !== undefined) return kept;
  const { base, prefix } = canonical(known(cidr));
  const last = base + sizeOf({ base, prefix }) - 2;
  const range = { prefix, gateway: formatAddress(base + 1), first: base + 2, last };
  if (ranges.size >= keptRanges) ranges.clear();
  ranges.set(cidr, range);
  return range;
}

/** The interface address of an instance on a network: the same for ever, locally administered, 40 bits of a hash. */
export function macOf(instanceId: string, networkId: string): string {
  const digits = hash("sha256", `${instanceId} ${networkId}`);
  return `02:${digits.slice(0, 10).replaceAll(/..(?!$)/g, "$&:")}`;
}

function known(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`${text} was stored as a network's range`);
  return cidr;
}
