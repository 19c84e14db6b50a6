/* Where an identity provider may be asked: by https, or on this machine itself. */

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

export function isSafeIssuer(issuer: string): boolean {
  const url = URL.parse(issuer);
  if (url === null || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return false;
  return url.protocol === "https:" || isLocal(url);
}

/** Whether an address that an issuer's own description gives is as safe as the issuer: https, or local where the issuer is. */
export function isSafeEndpoint(endpoint: string, issuer: string): boolean {
  const [url, from] = [URL.parse(endpoint), URL.parse(issuer)];
  if (url === null || from === null) return false;
  return url.protocol === "https:" ? from.protocol === "https:" || isLocal(from) : isLocal(url) && isLocal(from);
}

/** Plain HTTP, on this machine. */
export function isLocal({ protocol, hostname }: URL): boolean {
  return protocol === "http:" && loopback.has(hostname);
}

/** Where a command line waits for a browser to come back (RFC 8252, 7.3). */
export function isLoopbackRedirect(redirectUri: string): boolean {
  return /^http:\/\/(127\.0\.0\.1|\[::1\]):[1-9]\d{3,4}\/callback$/.test(redirectUri) && URL.canParse(redirectUri);
}
