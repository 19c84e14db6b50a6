import type {
  BrowserSignInBegun,
  BrowserSignInRequest,
  DeviceSignInBegun,
  DeviceSignInPending,
  DeviceSignInRequest,
  Enrolled,
  EnrolmentBegun,
  EnrolmentRequest,
  RecoveryCodesMade,
  SignInRequest,
  SignedIn,
  TotpBegun,
} from "@skerry/model";
import { Transport, type TransportOptions } from "./transport.ts";

/** What proves again who somebody is. */
export interface OwnProof {
  readonly password: string;
  /** Of their authenticator, or a recovery code. */
  readonly code: string;
}

/** How people sign in, and change how they do; what is sent is never told to `onCall`. */
export interface SignInClient {
  signIn(request: SignInRequest, signal?: AbortSignal): Promise<SignedIn>;
  /** Begins at an identity provider, by a browser that is to come back to this machine. */
  beginBrowser(
    identityProvider: string | undefined,
    redirectUri: string,
    signal?: AbortSignal,
  ): Promise<BrowserSignInBegun>;
  finishBrowser(request: BrowserSignInRequest, signal?: AbortSignal): Promise<SignedIn>;
  /** Begins at an identity provider, by a browser anywhere. */
  beginDevice(identityProvider: string | undefined, signal?: AbortSignal): Promise<DeviceSignInBegun>;
  /** A session, or how many seconds to wait before it is asked again. */
  pollDevice(request: DeviceSignInRequest, signal?: AbortSignal): Promise<SignedIn | number>;
  /** Opens a one-time link by its code. */
  beginEnrolment(code: string, signal?: AbortSignal): Promise<EnrolmentBegun>;
  enrol(request: EnrolmentRequest, signal?: AbortSignal): Promise<Enrolled>;
  /** Ends the session that the token is, or all of its user's; gives how many ended. */
  signOut(everywhere: boolean, signal?: AbortSignal): Promise<number>;
  /** Gives how many other sessions ended. */
  changePassword(proof: OwnProof, newPassword: string, signal?: AbortSignal): Promise<number>;
  beginTotp(proof: OwnProof, signal?: AbortSignal): Promise<TotpBegun>;
  /** Gives how many other sessions ended. */
  confirmTotp(draft: string, totpCode: string, signal?: AbortSignal): Promise<number>;
  renewRecoveryCodes(proof: OwnProof, signal?: AbortSignal): Promise<readonly string[]>;
}

/** @param options its token may be empty for whoever has none yet */
export function createSignInClient(options: TransportOptions): SignInClient {
  // Whoever signs in is told to wait, rather than waiting for they don't know what.
  const own = { hidesBodies: true, mostWaitMs: 0 };
  const transport = new Transport({ ...options, server: options.server.replace(/\/+$/, ""), ...own });
  const post = <T>(path: string, body: object, signal?: AbortSignal): Promise<T> =>
    transport.json({ method: "POST", path: `/api/v1/${path}`, body, signal }) as Promise<T>;
  const ended = async (path: string, body: object, signal?: AbortSignal): Promise<number> =>
    (await post<{ ended: number }>(path, body, signal)).ended;
  return {
    signIn: (request, signal) => post("sign-in", request, signal),
    beginBrowser: (identityProvider, redirectUri, signal) =>
      post("sign-in/browser/begin", { ...chosen(identityProvider), redirectUri }, signal),
    finishBrowser: (request, signal) => post("sign-in/browser", request, signal),
    beginDevice: (identityProvider, signal) => post("sign-in/device/begin", chosen(identityProvider), signal),
    pollDevice: async (request, signal) => {
      const outcome = await post<SignedIn | DeviceSignInPending>("sign-in/device", request, signal);
      return "retryAfterSeconds" in outcome ? outcome.retryAfterSeconds : outcome;
    },
    beginEnrolment: (code, signal) => post("enrolment/begin", { code }, signal),
    enrol: (request, signal) => post("enrolment", request, signal),
    signOut: (everywhere, signal) => ended("sign-out", { everywhere }, signal),
    changePassword: (proof, newPassword, signal) => ended("own/password", { ...proof, newPassword }, signal),
    beginTotp: (proof, signal) => post("own/totp/begin", { ...proof }, signal),
    confirmTotp: (draft, totpCode, signal) => ended("own/totp", { draft, totpCode }, signal),
    renewRecoveryCodes: async (proof, signal) =>
      (await post<RecoveryCodesMade>("own/recovery-codes", { ...proof }, signal)).recoveryCodes,
  };
}

function chosen(identityProvider: string | undefined): { readonly identityProvider?: string } {
  return identityProvider === undefined ? {} : { identityProvider };
}
