/*
 * The data plane between nodes: HTTPS, TLS 1.3, both sides show the certificate that the zone's authority issued for their
 * key. `GET /v1/volumes/ID` with the ticket, and with `Range: bytes=N-` to continue; `HEAD` describes. Each answer carries
 * the digest of the whole file, so that a puller notices when the offer is not the one that it began with.
 */
export const volumePath = "/v1/volumes/";
export const ticketHeader = "skerry-ticket";
export const digestHeader = "skerry-digest";

/** Host and port of an endpoint; `[address]:port` for IPv6. Undefined where it is none. */
export function parseEndpoint(endpoint: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(endpoint);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

export function formatEndpoint(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
