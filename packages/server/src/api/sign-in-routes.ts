import {
  Enrolled,
  EnrolmentBegun,
  EnrolmentOpening,
  EnrolmentRequest,
  PasswordChange,
  ProofRequest,
  RecoveryCodesMade,
  SignInRequest,
  SignOutRequest,
  SignedIn,
  SignedOut,
  SkerryError,
  TotpBegun,
  TotpConfirmation,
  parserOf,
  type Parser,
} from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { Static, TObject } from "typebox";
import { stillHolds } from "../authorisation/authentication.ts";
import { addressSource } from "../authorisation/failure-limit.ts";
import { beginEnrolment, enrol, enrolmentUri } from "../sign-in/enrolment.ts";
import { parseInvitation } from "../sign-in/invitation.ts";
import { LocalCredentials } from "../sign-in/local-credentials.ts";
import { beginTotp, changePassword, confirmTotp, ownName, renewRecoveryCodes } from "../sign-in/own-credentials.ts";
import { endSessions, openSession, sessionsOf, type OpenedSession } from "../sign-in/session.ts";
import { otpauthUri } from "../sign-in/totp.ts";
import { noteOf, peerOf } from "./audit-note.ts";
import type { ApiDeps } from "./deps.ts";
import type { Call, GuardedRoute, OpenRoute, Reply, Route } from "./route.ts";
import { parserFor } from "./writes.ts";

const tag = "Sign-in";
const maxBodyBytes = 16 * 1024;
/** What a reply with a secret says, so that nothing on its way keeps it. */
const headers = { "cache-control": "no-store" };

const parse = {
  signIn: lazyParser(SignInRequest, "sign-in"),
  signOut: lazyParser(SignOutRequest, "sign-out"),
  password: lazyParser(PasswordChange, "change of password"),
  proof: lazyParser(ProofRequest, "request"),
  totp: lazyParser(TotpConfirmation, "confirmation"),
  opening: lazyParser(EnrolmentOpening, "opening of a link"),
  enrolment: lazyParser(EnrolmentRequest, "enrolment"),
};

/** A parser that is compiled when it is first needed. */
export function lazyParser<S extends TObject>(schema: S, what: string): Parser<Static<S>> {
  return (value) => parserFor(schema, () => parserOf(schema, what))(value) as Static<S>;
}

/** Where people prove who they are, and change how they do. */
export function signInRoutes(deps: ApiDeps): readonly Route[] {
  return [signInRoute(deps), signOutRoute(deps), ...enrolmentRoutes(deps), ...ownRoutes(deps)];
}

function signInRoute(deps: ApiDeps): OpenRoute {
  const local = new LocalCredentials(deps);
  return {
    ...{ method: "POST", path: "/api/v1/sign-in", operationId: "signIn", tag, access: "public", maxBodyBytes },
    summary: "Signs a local user in by password and code: gives a session, which is an API token of theirs.",
    body: { contentType: "application/json", schema: SignInRequest },
    replies: { 201: { description: "The session.", schema: SignedIn } },
    async handle({ body, request, cause }): Promise<Reply> {
      const { user: name, password, code, ...wish } = parse.signIn(body);
      const proven = await local.prove(name, { password, code }, request.ip);
      const work = (tx: Transaction): OpenedSession => {
        const { user, by } = proven.use(tx);
        return openSession(deps, tx, tx.put(user), wish, { by }, deps.clock.nowMs());
      };
      const note = { actor: { kind: "User" as const, name }, ...peerOf(request), cause };
      const { result } = await deps.store.transact(work, note);
      return { status: 201, headers, body: signedIn(name, result) };
    },
  };
}

function signOutRoute(deps: ApiDeps): GuardedRoute {
  return {
    ...{ method: "POST", path: "/api/v1/sign-out", operationId: "signOut", tag, access: "any-token", maxBodyBytes },
    summary: "Ends the session that the token is, or all of its user's.",
    body: { contentType: "application/json", schema: SignOutRequest, optional: true },
    replies: { 200: { description: "How many ended.", schema: SignedOut } },
    async handle(call): Promise<Reply> {
      const { everywhere = false } = parse.signOut(call.body ?? {});
      // Who may do less ends no session that may do more.
      if (everywhere) ownName(call.principal);
      const ended = await transact(deps, call, (tx) => {
        const { tokenId, name } = call.principal;
        const own = tx.getById("ApiToken", tokenId);
        if (own?.status.session === undefined) {
          throw new SkerryError("conflict", "The token is no session, and stays until it is deleted.", {
            remedy: "Delete it: skerry api-token delete NAME.",
          });
        }
        const ending = everywhere ? sessionsOf(tx, deps.people, name) : [own];
        endSessions(tx, ending);
        return ending.length;
      });
      return { status: 200, body: { ended } };
    },
  };
}

/** One-time links, as programs open them; browsers have a page. */
function enrolmentRoutes(deps: ApiDeps): OpenRoute[] {
  const shape = { method: "POST", tag, access: "public", maxBodyBytes } as const;
  return [
    {
      ...{ ...shape, path: "/api/v1/enrolment/begin", operationId: "beginEnrolment" },
      summary: "Opens a one-time link, without using it up: a new authenticator's secret.",
      body: { contentType: "application/json", schema: EnrolmentOpening },
      replies: { 200: { description: "What is needed to go on.", schema: EnrolmentBegun } },
      handle: ({ body, request }) => {
        const { code } = parse.opening(body);
        return weighed(deps, request.ip, code, () => {
          const begun = beginEnrolment(deps, code);
          const { name, secret, draft } = begun;
          const shown = { ...(name === undefined ? {} : { name }), secret, uri: enrolmentUri(begun), draft };
          return { status: 200, headers, body: shown };
        });
      },
    },
    {
      ...{ ...shape, path: "/api/v1/enrolment", operationId: "enrol" },
      summary: "Sets password and authenticator by a one-time link, which is used up, and signs in.",
      body: { contentType: "application/json", schema: EnrolmentRequest },
      replies: { 201: { description: "The session, and recovery codes.", schema: Enrolled } },
      handle: ({ body, request, cause }) => {
        const chosen = parse.enrolment(body);
        return weighed(deps, request.ip, chosen.code, async () => {
          const note = { ...peerOf(request), cause };
          const { name, session, recoveryCodes } = await enrol(deps, chosen, { browser: "", note, withSession: true });
          if (session === undefined) throw new Error("a session was asked for");
          return { status: 201, headers, body: { ...signedIn(name, session), recoveryCodes } };
        });
      },
    },
  ];
}

/** Runs what a link opens; who guesses links is slowed. */
export async function weighed<T>(
  { failures }: Pick<ApiDeps, "failures">,
  address: string,
  code: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SkerryError) || error.code !== "unauthenticated") throw error;
    throw failures.weigh(error, [addressSource(address), parseInvitation(code)?.id]);
  }
}

function ownRoutes(deps: ApiDeps): GuardedRoute[] {
  const local = new LocalCredentials(deps);
  const shape = { method: "POST", tag, access: "any-token", maxBodyBytes } as const;
  const prove = ({ principal, request }: Call, proof: { readonly password: string; readonly code: string }) =>
    local.prove(ownName(principal), proof, request.ip);
  return [
    {
      ...{ ...shape, path: "/api/v1/own/password", operationId: "changeOwnPassword" },
      summary: "Changes the password of the user whom the token stands for, and ends their other sessions.",
      body: { contentType: "application/json", schema: PasswordChange },
      replies: { 200: { description: "How many sessions ended.", schema: SignedOut } },
      async handle(call): Promise<Reply> {
        const { newPassword, ...proof } = parse.password(call.body);
        const { tokenId } = call.principal;
        const proven = await prove(call, proof);
        const change = await changePassword(deps, proven, ownName(call.principal), newPassword, tokenId);
        return { status: 200, body: { ended: await transact(deps, call, change) } };
      },
    },
    {
      ...{ ...shape, path: "/api/v1/own/recovery-codes", operationId: "renewOwnRecoveryCodes" },
      summary: "Makes new recovery codes for the user whom the token stands for, in place of those of before.",
      body: { contentType: "application/json", schema: ProofRequest },
      replies: { 200: { description: "Shown this once.", schema: RecoveryCodesMade } },
      async handle(call): Promise<Reply> {
        const change = renewRecoveryCodes(await prove(call, parse.proof(call.body)));
        return { status: 200, headers, body: { recoveryCodes: await transact(deps, call, change) } };
      },
    },
    {
      ...{ ...shape, path: "/api/v1/own/totp/begin", operationId: "beginOwnTotp" },
      summary: "Makes a secret for another authenticator of the user whom the token stands for.",
      body: { contentType: "application/json", schema: ProofRequest },
      replies: { 200: { description: "It counts once it is confirmed.", schema: TotpBegun } },
      async handle(call): Promise<Reply> {
        const change = beginTotp(deps, await prove(call, parse.proof(call.body)));
        const { secret, draft } = await transact(deps, call, change);
        return {
          status: 200,
          headers,
          body: { secret, uri: otpauthUri(secret, call.principal.name, "Skerry"), draft },
        };
      },
    },
    {
      ...{ ...shape, path: "/api/v1/own/totp", operationId: "confirmOwnTotp" },
      summary: "Has another authenticator count, by a code of it, in place of that of before; other sessions end.",
      body: { contentType: "application/json", schema: TotpConfirmation },
      replies: { 200: { description: "How many sessions ended.", schema: SignedOut } },
      async handle(call): Promise<Reply> {
        const { draft, totpCode } = parse.totp(call.body);
        const change = confirmTotp(deps, ownName(call.principal), draft, totpCode, call.principal.tokenId);
        return { status: 200, body: { ended: await transact(deps, call, change) } };
      },
    },
  ];
}

/** One audited transaction of whoever asks, as long as their token holds. */
async function transact<T>(deps: ApiDeps, call: Call, work: (tx: Transaction) => T): Promise<T> {
  const { result } = await deps.store.transact((tx) => {
    if (!stillHolds(tx, deps.rights, call.principal, deps.clock.nowMs()))
      throw new SkerryError("unauthenticated", "The token has expired, was deleted, or has other rights now.");
    return work(tx);
  }, noteOf(call));
  return result;
}

export function signedIn(user: string, { name, secret, expiresAt }: OpenedSession): object {
  return { user, token: secret, name, ...(expiresAt === undefined ? {} : { expiresAt }) };
}
