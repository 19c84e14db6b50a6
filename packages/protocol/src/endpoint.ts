/*
 * Where a node says that others reach it. It is passed on to those, so that all of them read it in this one way, and what
 * is none of these goes no further than the server: a node that reports nonsense is out of reach, and harms nobody.
 */

/** Host and port of an endpoint; `[address]:port` for IPv6. Undefined where it is none. */
export function parseEndpoint(endpoint: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)):(\d{1,5})$/.exec(
    endpoint,
  );
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

export function formatEndpoint(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether it is a public key as WireGuard writes it: 32 bytes in base64. */
export function isOverlayPublicKey(text: string): boolean {
  return /^[A-Za-z0-9+/]{43}=$/.test(text);
}
