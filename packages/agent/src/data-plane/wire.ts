/*
 * The data plane between nodes: HTTPS, TLS 1.3, both sides show the certificate that the zone's authority issued for their
 * key. `GET /v1/volumes/ID` with the ticket, and with `Range: bytes=N-` to continue; `HEAD` describes. Each answer carries
 * the digest of the whole file, so that a puller notices when the offer is not the one that it began with.
 */
export const volumePath = "/v1/volumes/";
export const ticketHeader = "skerry-ticket";
export const digestHeader = "skerry-digest";
