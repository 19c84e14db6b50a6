import {
  BrowserSignInBegun,
  BrowserSignInOpening,
  BrowserSignInRequest,
  DeviceSignInBegun,
  DeviceSignInOpening,
  DeviceSignInPending,
  DeviceSignInRequest,
  SignedIn,
} from "@skerry/model";
import { addressSource } from "../authorisation/failure-limit.ts";
import { OidcSignIn } from "../sign-in/oidc/oidc-sign-in.ts";
import { peerOf } from "./audit-note.ts";
import type { ApiDeps } from "./deps.ts";
import type { OpenRoute } from "./route.ts";
import { lazyParser, signedIn, weighed } from "./sign-in-routes.ts";

const headers = { "cache-control": "no-store" };
/** Sign-ins that may be begun from one network: each may ask the provider. */
const allowance = { burst: 30, refillMs: 2000 };

const parse = {
  opening: lazyParser(BrowserSignInOpening, "sign-in"),
  answer: lazyParser(BrowserSignInRequest, "sign-in"),
  deviceOpening: lazyParser(DeviceSignInOpening, "sign-in"),
  device: lazyParser(DeviceSignInRequest, "sign-in"),
};

/** Signing in at an identity provider: the server asks it, the caller only carries sealed drafts and the browser's answer. */
export function oidcRoutes(deps: ApiDeps): OpenRoute[] {
  const oidc = new OidcSignIn(deps);
  const shape = { method: "POST", tag: "Sign-in", access: "public", maxBodyBytes: 32 * 1024 } as const;
  const slowed = (address: string): void => {
    deps.attempts.take([{ name: `identity providers ${addressSource(address)}`, allowance }]);
  };
  return [
    {
      ...{ ...shape, path: "/api/v1/sign-in/browser/begin", operationId: "beginBrowserSignIn" },
      summary:
        "Begins a sign-in at an identity provider, by a browser that comes back to a program on its own machine.",
      body: { contentType: "application/json", schema: BrowserSignInOpening },
      replies: { 200: { description: "Where the browser is to go.", schema: BrowserSignInBegun } },
      async handle({ body, request }) {
        const { identityProvider, redirectUri } = parse.opening(body);
        slowed(request.ip);
        return { status: 200, headers, body: await oidc.begin(identityProvider, redirectUri) };
      },
    },
    {
      ...{ ...shape, path: "/api/v1/sign-in/browser", operationId: "finishBrowserSignIn" },
      summary: "Signs in by what the browser came back with: gives a session, which is an API token of theirs.",
      body: { contentType: "application/json", schema: BrowserSignInRequest },
      replies: { 201: { description: "The session.", schema: SignedIn } },
      handle: ({ body, request, cause }) => {
        const { draft, answer, ...wish } = parse.answer(body);
        return weighed(deps, request.ip, "", async () => {
          const { user, session } = await oidc.finish(draft, answer, wish, { ...peerOf(request), cause });
          return { status: 201, headers, body: signedIn(user, session) };
        });
      },
    },
    {
      ...{ ...shape, path: "/api/v1/sign-in/device/begin", operationId: "beginDeviceSignIn" },
      summary: "Begins a sign-in at an identity provider, by a browser anywhere: gives the code to type in there.",
      body: { contentType: "application/json", schema: DeviceSignInOpening },
      replies: { 200: { description: "The code, and where it is asked for.", schema: DeviceSignInBegun } },
      async handle({ body, request }) {
        const { identityProvider } = parse.deviceOpening(body);
        slowed(request.ip);
        return { status: 200, headers, body: await oidc.beginDevice(identityProvider) };
      },
    },
    {
      ...{ ...shape, path: "/api/v1/sign-in/device", operationId: "finishDeviceSignIn" },
      summary: "Signs in once the person has done so elsewhere, or says when to ask again.",
      body: { contentType: "application/json", schema: DeviceSignInRequest },
      replies: {
        201: { description: "The session.", schema: SignedIn },
        202: { description: "Not yet.", schema: DeviceSignInPending },
      },
      handle: ({ body, request, cause }) => {
        const { draft, ...wish } = parse.device(body);
        return weighed(deps, request.ip, "", async () => {
          const outcome = await oidc.pollDevice(draft, wish, { ...peerOf(request), cause });
          if (typeof outcome === "number") return { status: 202, headers, body: { retryAfterSeconds: outcome } };
          return { status: 201, headers, body: signedIn(outcome.user, outcome.session) };
        });
      },
    },
  ];
}
