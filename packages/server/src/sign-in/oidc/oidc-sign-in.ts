import type { TokenEndpointResponse } from "oauth4webapi";
import { SkerryError, type IdentityProviderResource } from "@skerry/model";
import type { AuditNote, Store } from "@skerry/store";
import type { RightsIndex } from "../../authorisation/rights-index.ts";
import type { IntentTable } from "../../intents.ts";
import type { Clock } from "../../operations/clock.ts";
import type { Log } from "../../operations/log.ts";
import type { Sealer } from "../../secrets/sealer.ts";
import { isLoopbackRedirect } from "../issuer-address.ts";
import type { PeopleIndex } from "../people-index.ts";
import { openSession, type OpenedSession, type SessionWish } from "../session.ts";
import { Drafts, overDraft, type Draft } from "./drafts.ts";
import { verifyIdToken } from "./id-token.ts";
import { Issuers, type Issuer } from "./issuer.ts";
import { checkAdmitted, nameOf, welcome, type Person } from "./person.ts";
import { asRefusal, pendingOf } from "./refusal.ts";

export interface OidcDeps {
  readonly store: Store;
  readonly intents: Pick<IntentTable, "ApiToken" | "User" | "Group">;
  readonly people: Pick<PeopleIndex, "userIdOf" | "sessionIdsOf">;
  readonly rights: Pick<RightsIndex, "ofUser">;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly makeId: (prefix: string) => string;
  readonly log: Pick<Log, "warn">;
  /** How long an identity provider may take to answer; 10 s where absent. */
  readonly issuerTimeoutMs?: number;
  /** Aborts when the server stops: no provider holds it. */
  readonly stopping: AbortSignal;
}

/** By a browser, which comes back to where the command waits. */
interface BrowserFlow {
  readonly flow: "browser";
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** By a browser elsewhere, where a person types a code in. */
interface DeviceFlow {
  readonly flow: "device";
  readonly deviceCode: string;
  readonly intervalMs: number;
}

export interface BrowserBegun {
  readonly authorizationUrl: string;
  readonly state: string;
  readonly draft: string;
}

export interface DeviceBegun {
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete?: string;
  readonly intervalSeconds: number;
  readonly draft: string;
}

export interface SignedInPerson {
  readonly user: string;
  readonly session: OpenedSession;
}

const browserMs = 600_000;
const longestDeviceMs = 1_800_000;
const defaultIntervalSeconds = 5;

/**
 * Signs people in whom an identity provider vouches for. The server itself redeems what the browser brings, so that no ID token is ever
 * taken from a caller: see docs/adr/0011.
 */
export class OidcSignIn {
  readonly #deps: OidcDeps;
  readonly #issuers: Issuers;
  readonly #drafts: Drafts;

  constructor(deps: OidcDeps) {
    const { sealer, clock, issuerTimeoutMs, stopping } = deps;
    this.#deps = deps;
    this.#issuers = new Issuers({
      sealer,
      clock,
      stopping,
      ...(issuerTimeoutMs === undefined ? {} : { timeoutMs: issuerTimeoutMs }),
    });
    this.#drafts = new Drafts(sealer, clock);
  }

  /** Where a browser is to go, and what is to be brought back with its answer. */
  async begin(name: string | undefined, redirectUri: string): Promise<BrowserBegun> {
    if (!isLoopbackRedirect(redirectUri))
      throw new SkerryError(
        "invalid-request",
        "The redirect must lead to this machine: http://127.0.0.1:PORT/callback.",
        {
          errors: [{ path: "/redirectUri", message: "must be http://127.0.0.1:PORT/callback" }],
        },
      );
    const issuer = await this.#issuers.get(this.#provider(name));
    const oauth = await import("oauth4webapi");
    const [state, nonce, verifier] = [
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
      oauth.generateRandomCodeVerifier(),
    ];
    const { provider, description, client } = issuer;
    const url = new URL(description.authorization_endpoint ?? "");
    const parameters = {
      ...{ response_type: "code", client_id: client.client_id, redirect_uri: redirectUri, scope: scopeOf(provider) },
      ...{ state, nonce, code_challenge_method: "S256" },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    };
    for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
    const flow: BrowserFlow = { flow: "browser", state, nonce, verifier, redirectUri };
    return { authorizationUrl: url.href, state, draft: this.#drafts.seal(flow, provider.metadata.id, browserMs) };
  }

  /** @param answer the query that the browser came back with */
  async finish(
    draft: string,
    answer: string,
    wish: SessionWish,
    note: Omit<AuditNote, "actor">,
  ): Promise<SignedInPerson> {
    const begun = this.#drafts.open<BrowserFlow>(draft, "browser");
    this.#drafts.use(begun);
    const issuer = await this.#issuers.get(this.#providerOf(begun));
    const oauth = await import("oauth4webapi");
    const { description, client, auth, options } = issuer;
    const person = await this.#told(issuer, async () => {
      const parameters = oauth.validateAuthResponse(description, client, new URLSearchParams(answer), begun.state);
      const { redirectUri, verifier, nonce } = begun;
      const response = await oauth.authorizationCodeGrantRequest(
        description,
        client,
        auth,
        parameters,
        redirectUri,
        verifier,
        options,
      );
      const checks = { expectedNonce: nonce, requireIdToken: true };
      return this.#person(
        issuer,
        await oauth.processAuthorizationCodeResponse(description, client, response, checks),
        nonce,
      );
    });
    return this.#signIn(issuer.provider, person, wish, note);
  }

  async beginDevice(name: string | undefined): Promise<DeviceBegun> {
    const issuer = await this.#issuers.get(this.#provider(name));
    const oauth = await import("oauth4webapi");
    const { provider, description, client, auth, options } = issuer;
    if (description.device_authorization_endpoint === undefined)
      throw new SkerryError(
        "conflict",
        `The identity provider ${provider.metadata.name} has no sign-in by device code.`,
        {
          remedy: `Sign in by a browser on this machine: skerry login --identity-provider ${provider.metadata.name}`,
        },
      );
    const answer = await this.#told(issuer, async () => {
      const parameters = { scope: scopeOf(provider) };
      const response = await oauth.deviceAuthorizationRequest(description, client, auth, parameters, options);
      return oauth.processDeviceAuthorizationResponse(description, client, response);
    });
    const intervalSeconds = Math.max(1, Math.ceil(answer.interval ?? defaultIntervalSeconds));
    const flow: DeviceFlow = { flow: "device", deviceCode: answer.device_code, intervalMs: intervalSeconds * 1000 };
    const { verification_uri_complete: complete } = answer;
    return {
      userCode: answer.user_code,
      verificationUri: answer.verification_uri,
      ...(complete === undefined ? {} : { verificationUriComplete: complete }),
      intervalSeconds,
      draft: this.#drafts.seal(flow, provider.metadata.id, Math.min(longestDeviceMs, answer.expires_in * 1000)),
    };
  }

  /** @returns how many seconds to wait, as long as the person has not signed in */
  async pollDevice(draft: string, wish: SessionWish, note: Omit<AuditNote, "actor">): Promise<SignedInPerson | number> {
    const begun = this.#drafts.open<DeviceFlow>(draft, "device");
    const { intervalMs, deviceCode } = begun;
    const waitMs = this.#drafts.waitMs(begun, intervalMs);
    if (waitMs > 0) return Math.ceil(waitMs / 1000);
    const issuer = await this.#issuers.get(this.#providerOf(begun));
    const oauth = await import("oauth4webapi");
    const { description, client, auth, options } = issuer;
    let person: Person;
    try {
      const response = await oauth.deviceCodeGrantRequest(description, client, auth, deviceCode, options);
      const tokens = await oauth.processDeviceCodeResponse(description, client, response);
      this.#drafts.use(begun);
      person = await this.#told(issuer, () => this.#person(issuer, tokens, undefined));
    } catch (error) {
      const pending = await pendingOf(error);
      if (pending === undefined) throw await this.#refusal(issuer, error);
      if (pending === "slow_down") this.#drafts.slowDown(begun, intervalMs);
      return Math.ceil(intervalMs / 1000) * (pending === "slow_down" ? 2 : 1);
    }
    return this.#signIn(issuer.provider, person, wish, note);
  }

  async #person(
    issuer: Issuer,
    { id_token: token, access_token: accessToken }: TokenEndpointResponse,
    nonce: string | undefined,
  ): Promise<Person> {
    const { description, client, keys } = issuer;
    if (token === undefined) throw new Error("there is no ID token");
    const nowMs = this.#deps.clock.nowMs();
    const expected = { issuer: description.issuer, clientId: client.client_id, nonce, accessToken, nowMs };
    const claims = await verifyIdToken(token, keys, expected);
    return { subject: claims.sub ?? "", claims };
  }

  async #signIn(
    provider: IdentityProviderResource,
    person: Person,
    wish: SessionWish,
    note: Omit<AuditNote, "actor">,
  ): Promise<SignedInPerson> {
    const { store, intents, people, clock, makeId } = this.#deps;
    checkAdmitted(provider, person);
    const name = nameOf(store, people, provider, person);
    const { result } = await store.transact(
      (tx) => {
        const current = tx.getById("IdentityProvider", provider.metadata.id);
        // What it may is as it is now, not as it was when this was begun.
        if (current === undefined || current.spec.disabled === true || current.spec.clientId !== provider.spec.clientId)
          throw overDraft();
        checkAdmitted(current, person);
        const nowMs = clock.nowMs();
        const context = { actor: name, cause: note.cause, nowMs, makeId };
        const user = welcome({ ...intents, people }, tx, current, person, name, context);
        const origin = { by: "identity-provider", identityProvider: current.metadata.name } as const;
        return openSession(this.#deps, tx, user, wish, origin, nowMs, current.spec.maxSessionSeconds);
      },
      { ...note, actor: { kind: "User", name } },
    );
    return { user: name, session: result };
  }

  async #told<T>(issuer: Issuer, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw await this.#refusal(issuer, error);
    }
  }

  async #refusal({ provider }: Issuer, error: unknown): Promise<SkerryError> {
    const refusal = await asRefusal(provider.metadata.name, error);
    const reason = error instanceof Error ? error.message : String(error);
    this.#deps.log.warn(
      { identityProvider: provider.metadata.name, reason },
      "a sign-in by an identity provider failed",
    );
    return refusal;
  }

  #provider(name: string | undefined): IdentityProviderResource {
    const open = this.#deps.store.list("IdentityProvider").filter(({ spec }) => spec.disabled !== true);
    const [only, ...others] = name === undefined ? open : open.filter(({ metadata }) => metadata.name === name);
    if (only !== undefined && others.length === 0) return only;
    throw new SkerryError("unauthenticated", "There is no such identity provider, or more than one to choose from.", {
      remedy: "Name one: skerry login --identity-provider NAME",
    });
  }

  #providerOf({ providerId }: Draft): IdentityProviderResource {
    const provider = this.#deps.store.getById("IdentityProvider", providerId);
    if (provider === undefined || provider.spec.disabled === true) throw overDraft();
    return provider;
  }
}

function scopeOf({ spec }: IdentityProviderResource): string {
  return [...new Set(["openid", ...(spec.scopes ?? [])])].join(" ");
}
