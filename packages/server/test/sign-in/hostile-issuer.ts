import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer as createPlain, type RequestListener } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { SignJWT, exportJWK, generateKeyPair, type CryptoKey, type JWTPayload } from "jose";

/** What is told instead of the truth. */
export interface Lies {
  /** Of the token: what its claims are, or the whole text of it. */
  readonly claims?: (honest: JWTPayload) => JWTPayload;
  readonly token?: (honest: string, key: CryptoKey) => string | Promise<string>;
  readonly description?: (honest: Record<string, unknown>) => Record<string, unknown>;
  /** Answers a path itself. */
  readonly answer?: (path: string, ...call: Parameters<RequestListener>) => boolean;
}

/** An issuer that lies as it is told to, and is honest else. */
export interface HostileIssuer extends AsyncDisposable {
  readonly issuer: string;
  readonly paths: string[];
  lies: Lies;
  /** As a browser would bring it for what was begun. */
  visit(authorizationUrl: string): string;
}

export const accessToken = "an access token";

export async function startHostileIssuer(pair?: {
  readonly key: string;
  readonly certificate: string;
}): Promise<HostileIssuer> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: "one", use: "sig", alg: "RS256" };
  const nonces = new Map<string, string>();
  const paths: string[] = [];
  let lies: Lies = {};

  const tokenFor = async (nonce: string): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    const at = createHash("sha256").update(accessToken).digest().subarray(0, 16).toString("base64url");
    const honest: JWTPayload = { iss: issuer, aud: "skerry", sub: "s-1", nonce, iat: now, exp: now + 300, at_hash: at };
    const claims = lies.claims?.(honest) ?? honest;
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "one" }).sign(privateKey);
    return lies.token?.(token, privateKey) ?? token;
  };
  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url ?? "", issuer);
    paths.push(url.pathname);
    if (lies.answer?.(url.pathname, request, response) === true) return;
    const send = (body: object): void =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (url.pathname === "/.well-known/openid-configuration") {
      const honest = {
        ...{ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
        ...{ jwks_uri: `${issuer}/keys`, response_types_supported: ["code"], subject_types_supported: ["public"] },
        id_token_signing_alg_values_supported: ["RS256", "HS256", "none"],
      };
      send(lies.description?.(honest) ?? honest);
    } else if (url.pathname === "/keys") send({ keys: [key] });
    else {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const nonce = nonces.get(new URLSearchParams(body).get("code") ?? "") ?? "";
        void tokenFor(nonce).then((token) =>
          send({ access_token: accessToken, token_type: "bearer", id_token: token }),
        );
      });
    }
  };
  const server =
    pair === undefined ? createPlain(listener) : createSecure({ key: pair.key, cert: pair.certificate }, listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const issuer = `${pair === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    paths,
    get lies() {
      return lies;
    },
    set lies(next) {
      lies = next;
    },
    visit(authorizationUrl) {
      const asked = new URL(authorizationUrl).searchParams;
      const code = `code-${nonces.size}`;
      nonces.set(code, asked.get("nonce") ?? "");
      return new URLSearchParams({ code, state: asked.get("state") ?? "" }).toString();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
