import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { JWK } from "jose";

/** What somebody is told as. */
export type Claims = Readonly<Record<string, unknown>>;

/** The real oidc-provider on a port of this machine, and a browser that visits it. */
export interface IdentityServer extends AsyncDisposable {
  readonly issuer: string;
  /** By login name, which is the subject too. */
  readonly people: Map<string, Claims>;
  /** Signs by other keys from now on, and knows the old ones no more. */
  rotateKeys(): Promise<void>;
  /** A browser that goes there and signs in; gives the query that it comes back with. */
  visit(url: string, login: string): Promise<string>;
  /** The same with a device's code: types it in and agrees. */
  confirm(verificationUri: string, userCode: string, login: string): Promise<void>;
}

async function signingKey(): Promise<JWK> {
  const { exportJWK, generateKeyPair } = await import("jose");
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { ...(await exportJWK(privateKey)), use: "sig", alg: "RS256" };
}

export async function startIdentityServer(clientSecret?: string): Promise<IdentityServer> {
  // Loaded by the tests alone that need it.
  const { default: Provider } = await import("oidc-provider");
  const people = new Map<string, Claims>();
  let handle: RequestListener = () => undefined;
  const server = createServer((request, response) => handle(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const start = async (): Promise<void> => {
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: "skerry",
          ...(clientSecret === undefined
            ? { token_endpoint_auth_method: "none" as const }
            : { client_secret: clientSecret, token_endpoint_auth_method: "client_secret_basic" as const }),
          application_type: "native",
          redirect_uris: ["http://127.0.0.1/callback"],
          response_types: ["code"],
          grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        },
      ],
      claims: {
        openid: ["sub"],
        profile: ["preferred_username", "name", "email", "email_verified"],
        groups: ["groups"],
      },
      scopes: ["openid", "profile", "groups"],
      conformIdTokenClaims: false,
      cookies: { keys: ["for tests alone"] },
      features: { deviceFlow: { enabled: true } },
      findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people.get(id) }) }),
      jwks: { keys: [await signingKey()] as never },
      pkce: { required: () => true },
    });
    const callback = provider.callback();
    handle = (request, response) => void callback(request, response);
  };
  await start();
  return {
    issuer,
    people,
    rotateKeys: start,
    visit: async (url, login) => {
      const end = await browse(
        url,
        login,
        (next) => next.startsWith("http://127.0.0.1") && next.includes("/callback?"),
      );
      return new URL(end).search.slice(1);
    },
    confirm: async (verificationUri, userCode, login) => {
      await browse(`${verificationUri}?user_code=${encodeURIComponent(userCode)}`, login, () => false);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Follows redirects and fills forms in until there is nothing more to do. */
async function browse(first: string, login: string, isEnd: (url: string) => boolean): Promise<string> {
  const cookies = new Map<string, string>();
  let url = first;
  let form: URLSearchParams | undefined;
  for (let count = 0; count < 30; count += 1) {
    const answer = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      ...(form === undefined ? {} : { method: "POST", body: form }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = answer.headers.get("location");
    const html = await answer.text();
    form = undefined;
    if (location !== null) {
      url = new URL(location, url).href;
      if (isEnd(url)) return url;
      continue;
    }
    const [, body = ""] = /<form([\s\S]*?)<\/form>/.exec(html) ?? [];
    if (body === "") {
      assert.ok(answer.status < 400, html);
      return url;
    }
    const [, action = url] = /action="([^"]*)"/.exec(body) ?? [];
    form = new URLSearchParams();
    for (const [input] of body.matchAll(/<input[^>]*>/g)) {
      const [, name = ""] = /name="([^"]*)"/.exec(input) ?? [];
      const [, value = ""] = /value="([^"]*)"/.exec(input) ?? [];
      if (name !== "") form.set(name, name === "login" ? login : name === "password" ? "anything" : value);
    }
    url = new URL(action, url).href;
  }
  throw new Error(`the browser goes in circles at ${url}`);
}
