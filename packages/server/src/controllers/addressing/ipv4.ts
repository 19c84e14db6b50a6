/** An IPv4 network in numbers: `base` and `mask` are unsigned 32-bit. */
export interface Cidr {
  readonly base: number;
  readonly prefix: number;
}

/** Unsigned 32-bit; undefined where the text is not an IPv4 address in dotted decimals. */
export function parseAddress(text: string): number | undefined {
  let value = 0;
  let part = 0;
  let digits = 0;
  let parts = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? dot : text.charCodeAt(at);
    if (code === dot) {
      if (digits === 0 || part > 255) return undefined;
      value = value * 256 + part;
      part = digits = 0;
      parts++;
    } else if (code >= zero && code <= zero + 9 && digits < 3 && (digits === 0 || part > 0)) {
      part = part * 10 + code - zero;
      digits++;
    } else return undefined;
  }
  return parts === 4 ? value : undefined;
}

const [dot, zero] = [0x2e, 0x30];

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

/** The network as written, host bits and all; undefined where it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", length = ""] = text.split("/");
  const base = parseAddress(address);
  if (base === undefined || !/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  return { base, prefix: Number(length) };
}

export function sizeOf(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefix);
}

/** The same network with its host bits cleared. */
export function canonical(cidr: Cidr): Cidr {
  return { base: cidr.base - (cidr.base % sizeOf(cidr)), prefix: cidr.prefix };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.base)}/${cidr.prefix}`;
}

/** Of canonical networks. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  return one.base < other.base + sizeOf(other) && other.base < one.base + sizeOf(one);
}
