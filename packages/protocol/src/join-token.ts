/*
 * A join token as handed to a host: `skj1.<id>.<secret>.<sha256 of the server's CA certificate, hex>`. It carries the
 * fingerprint so that an agent trusts the right server before anything was exchanged.
 */
export interface JoinTokenParts {
  readonly id: string;
  readonly secret: string;
  readonly authorityFingerprint: string;
}

export function formatJoinToken(parts: JoinTokenParts): string {
  return `skj1.${parts.id}.${parts.secret}.${parts.authorityFingerprint}`;
}

/** Undefined where the text is not a join token. */
export function parseJoinToken(text: string): JoinTokenParts | undefined {
  const match = /^skj1\.(jtk_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})$/.exec(text);
  if (match === null) return undefined;
  const [, id = "", secret = "", authorityFingerprint = ""] = match;
  return { id, secret, authorityFingerprint };
}
