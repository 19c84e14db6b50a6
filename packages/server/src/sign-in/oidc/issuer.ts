import type { RemoteJWKSet } from "jose";
import type { AuthorizationServer, Client, ClientAuth } from "oauth4webapi";
import { SkerryError, type IdentityProviderResource } from "@skerry/model";
import type { Clock } from "../../operations/clock.ts";
import { openClientSecret } from "../../secrets/client-secret.ts";
import type { Sealer } from "../../secrets/sealer.ts";
import { isLocal, isSafeEndpoint } from "../issuer-address.ts";
import { makeIssuerFetch, misdescribed, type IssuerFetch } from "./issuer-fetch.ts";

/** An identity provider as it describes itself, and how it is asked. */
export interface Issuer {
  readonly provider: IdentityProviderResource;
  readonly description: AuthorizationServer;
  readonly client: Client;
  readonly auth: ClientAuth;
  readonly keys: RemoteJWKSet;
  /** For every request to it. */
  readonly options: object;
}

export interface IssuersDeps {
  readonly sealer: Sealer;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** How long a provider may take to answer. */
  readonly timeoutMs?: number;
  /** Ends what is asked of them. */
  readonly stopping: AbortSignal;
}

/** How long a description is believed, and a failure is not tried again. */
const describedMs = 600_000;
const failedMs = 2000;
const maxIssuers = 100;

interface Known {
  readonly issuer: Promise<Issuer>;
  readonly untilMs: number;
}

/** Descriptions and keys of identity providers, fetched when they are first needed: whoever asks often does not have them fetched often. */
export class Issuers {
  readonly #deps: IssuersDeps;
  readonly #known = new Map<string, Known>();

  constructor(deps: IssuersDeps) {
    this.#deps = deps;
  }

  /** @throws SkerryError unavailable where it can't be reached, or is not what it should be */
  async get(provider: IdentityProviderResource): Promise<Issuer> {
    const key = `${provider.metadata.id} ${provider.metadata.revision}`;
    const nowMs = this.#deps.clock.monotonicMs();
    const known = this.#known.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.issuer;
    this.#known.delete(key);
    if (this.#known.size >= maxIssuers) this.#known.clear();
    const issuer = discover(provider, this.#deps);
    this.#known.set(key, { issuer, untilMs: nowMs + describedMs });
    issuer.catch(() => this.#known.set(key, { issuer, untilMs: nowMs + failedMs }));
    return issuer;
  }
}

async function discover(
  provider: IdentityProviderResource,
  { sealer, stopping, timeoutMs }: IssuersDeps,
): Promise<Issuer> {
  const oauth = await import("oauth4webapi");
  const { createRemoteJWKSet, customFetch: keyFetch } = await import("jose");
  const { metadata, spec } = provider;
  const fetch: IssuerFetch = await makeIssuerFetch(provider, stopping, timeoutMs);
  const url = new URL(spec.issuer);
  const options = { [oauth.customFetch]: fetch, [oauth.allowInsecureRequests]: isLocal(url) };
  let description: AuthorizationServer;
  try {
    description = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, options));
  } catch (error) {
    if (error instanceof SkerryError) throw error;
    throw misdescribed(metadata.name, "its description is not one of this issuer", error);
  }
  const { authorization_endpoint: authorization, token_endpoint: token, jwks_uri: keysUrl } = description;
  if (authorization === undefined || token === undefined || keysUrl === undefined)
    throw misdescribed(metadata.name, "it lacks the address of its keys, of tokens or of where people sign in");
  for (const endpoint of [authorization, token, keysUrl, description.device_authorization_endpoint ?? spec.issuer]) {
    if (!isSafeEndpoint(endpoint, spec.issuer))
      throw misdescribed(metadata.name, `it names ${endpoint.slice(0, 200)}, which is not https`);
  }
  const secret = openClientSecret(sealer, provider);
  return {
    provider,
    description,
    client: { client_id: spec.clientId },
    auth: secret === undefined ? oauth.None() : authOf(oauth, description, secret),
    keys: createRemoteJWKSet(new URL(keysUrl), {
      [keyFetch]: fetch,
      // A key that is not known is looked for at once; how often that may be done, the limit of tries says.
      cooldownDuration: 1000,
      ...(timeoutMs === undefined ? {} : { timeoutDuration: timeoutMs }),
    }),
    options,
  };
}

function authOf(oauth: typeof import("oauth4webapi"), description: AuthorizationServer, secret: string): ClientAuth {
  const methods = description.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  const basic = methods.includes("client_secret_basic") || !methods.includes("client_secret_post");
  return basic ? oauth.ClientSecretBasic(secret) : oauth.ClientSecretPost(secret);
}
