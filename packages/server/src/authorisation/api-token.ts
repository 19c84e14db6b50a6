/* An API token as handed to a person or program: `skt1.<id of the ApiToken>.<secret>`. */

export interface ApiTokenParts {
  readonly id: string;
  readonly secret: string;
}

export function formatApiToken(parts: ApiTokenParts): string {
  return `skt1.${parts.id}.${parts.secret}`;
}

/** Undefined where the text is not an API token. */
export function parseApiToken(text: string): ApiTokenParts | undefined {
  const match = /^skt1\.(atk_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/.exec(text);
  if (match === null) return undefined;
  const [, id = "", secret = ""] = match;
  return { id, secret };
}
