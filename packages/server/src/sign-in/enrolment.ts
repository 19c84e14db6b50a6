import { randomBytes } from "node:crypto";
import { SkerryError, kinds, namePattern, nameWords, type UserResource } from "@skerry/model";
import type { AuditNote, Store, Transaction } from "@skerry/store";
import { makeDraft } from "../api/draft.ts";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import { hashSecret } from "../authorisation/secret.ts";
import type { IntentContext, IntentTable } from "../intents.ts";
import { timestamp, type Clock } from "../operations/clock.ts";
import type { Sealer } from "../secrets/sealer.ts";
import type { FirstStart } from "./first-start.ts";
import { firstStart, invalidLink, invitedUser, parseInvitation } from "./invitation.ts";
import { totpOwner, withCredentials } from "./local-credentials.ts";
import type { PeopleIndex } from "./people-index.ts";
import { checkNewPassword, type PasswordHasher } from "./password.ts";
import { makeRecoveryCodes } from "./recovery-codes.ts";
import { endSessions, openSession, sessionsOf, type OpenedSession } from "./session.ts";
import { fromBase32, otpauthUri, stepOf, toBase32, totpSecretBytes } from "./totp.ts";

export interface EnrolmentDeps {
  readonly store: Store;
  readonly intents: Pick<IntentTable, "ApiToken" | "User" | "RoleBinding">;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly firstStart: FirstStart;
  readonly people: Pick<PeopleIndex, "sessionIdsOf">;
  readonly rights: Pick<RightsIndex, "ofUser">;
  readonly makeId: (prefix: string) => string;
}

/** What a link's page shows: a new authenticator's secret, which nobody keeps but in the sealed draft. */
export interface Begun {
  /** Whom the link is for; undefined where they are to choose their name. */
  readonly name: string | undefined;
  readonly secret: string;
  /** Sealed: to be sent back with what was chosen. */
  readonly draft: string;
}

export interface Chosen {
  readonly code: string;
  readonly draft: string;
  /** Of the first user alone. */
  readonly name?: string | undefined;
  readonly password: string;
  /** By the new authenticator. */
  readonly totpCode: string;
}

export interface Enrolled {
  readonly name: string;
  readonly recoveryCodes: readonly string[];
  readonly session: OpenedSession | undefined;
}

/** How an authenticator app is told the secret. */
export function enrolmentUri({ name, secret }: Begun): string {
  return otpauthUri(secret, name ?? "admin", "Skerry");
}

/**
 * Opens a link, without using it up. @param browser what ties the draft to who opened it; empty for a program
 * @throws SkerryError unauthenticated
 */
export function beginEnrolment(deps: EnrolmentDeps, code: string, browser = ""): Begun {
  const name = ownerOf(deps, deps.store, code)?.metadata.name;
  const secret = toBase32(randomBytes(totpSecretBytes));
  return { name, secret, draft: deps.sealer.seal(secret, draftOwner(code, browser)) };
}

/** The same once more, with the secret that it had: for another look at the page. */
export function resumeEnrolment(deps: EnrolmentDeps, code: string, draft: string, browser: string): Begun {
  const name = ownerOf(deps, deps.store, code)?.metadata.name;
  return { name, secret: openDraft(deps.sealer, draft, draftOwner(code, browser)), draft };
}

/**
 * Sets a user's password and authenticator, makes recovery codes, and uses the link up. What they had before is worth nothing then.
 * @param note who brought it; its actor is filled in
 * @throws SkerryError unauthenticated, invalid-request, already-exists
 */
export async function enrol(
  deps: EnrolmentDeps,
  chosen: Chosen,
  {
    browser,
    note,
    withSession,
  }: { readonly browser: string; readonly note: Omit<AuditNote, "actor">; readonly withSession: boolean },
): Promise<Enrolled> {
  const { store, sealer, clock, hasher } = deps;
  const { code, password, totpCode } = chosen;
  const name = ownerOf(deps, store, code)?.metadata.name ?? checkName(chosen.name);
  const secret = openDraft(sealer, chosen.draft, draftOwner(code, browser));
  checkNewPassword(password, name);
  const lastStep = stepOf(fromBase32(secret), totpCode, clock.nowMs(), -1);
  if (lastStep === undefined) throw wrongCode();
  const setAt = timestamp(clock.nowMs());
  const stored = await hasher.hash(password, setAt);
  const recovery = makeRecoveryCodes();
  const { result: session } = await store.transact(
    (tx) => {
      const nowMs = clock.nowMs();
      const context = { actor: name, cause: note.cause, nowMs, makeId: deps.makeId };
      const user = ownerOf(deps, tx, code) ?? makeAdmin(deps, tx, name, context);
      const totp = { secret: sealer.seal(secret, totpOwner(user.metadata.id)), setAt, lastStep };
      endSessions(tx, sessionsOf(tx, deps.people, name));
      tx.put(withCredentials(user, { password: stored, totp, recoveryHashes: recovery.hashes }));
      return withSession ? openSession(deps, tx, user, {}, { by: "password" }, nowMs) : undefined;
    },
    { ...note, actor: { kind: "User", name } },
  );
  if (parseInvitation(code)?.id === firstStart) await deps.firstStart.close();
  return { name, recoveryCodes: recovery.codes, session };
}

/** The user whom a link invites; undefined for the first one. @throws SkerryError unauthenticated */
function ownerOf(deps: EnrolmentDeps, view: Store | Transaction, code: string): UserResource | undefined {
  const nowMs = deps.clock.nowMs();
  const parts = parseInvitation(code);
  if (parts === undefined) throw invalidLink();
  if (parts.id !== firstStart) return invitedUser(view, parts, nowMs);
  if (!deps.firstStart.isOpen(view, parts.secret, nowMs)) throw invalidLink();
  return undefined;
}

/** The first local user, and the binding that has them administer the platform. */
function makeAdmin(deps: EnrolmentDeps, tx: Transaction, name: string, context: IntentContext): UserResource {
  const { intents, makeId } = deps;
  if (tx.get("User", { name }) !== undefined)
    throw new SkerryError("already-exists", `There is already a user ${name}.`, { remedy: "Choose another name." });
  const draftOf = <K extends "User" | "RoleBinding">(kind: K, key: string, spec: object) => {
    const parts = { spec, labels: {}, status: intents[kind].initialStatus };
    return makeDraft(kind, makeId(kinds[kind].prefix), { name: key }, parts, context.nowMs);
  };
  intents.User.create(tx, draftOf("User", name, {}), context);
  const subjects = [{ kind: "User", name }];
  const binding = ["administers", makeId(kinds.RoleBinding.prefix).slice(-10)].join("-");
  intents.RoleBinding.create(tx, draftOf("RoleBinding", binding, { role: "platform-admin", subjects }), context);
  const made = tx.get("User", { name });
  if (made === undefined) throw new Error(`the user ${name} was made and is not there`);
  return made;
}

const validName = new RegExp(namePattern);

function checkName(name = ""): string {
  if (validName.test(name)) return name;
  throw new SkerryError("invalid-request", `"${name.slice(0, 100)}" can not be a name.`, {
    errors: [{ path: "/name", message: `must be ${nameWords}` }],
  });
}

function draftOwner(code: string, browser: string): string {
  return `enrolment ${hashSecret(code)} ${hashSecret(browser)}`;
}

/** @throws SkerryError unauthenticated where it was made for another link, or another browser */
function openDraft(sealer: Sealer, draft: string, owner: string): string {
  try {
    return sealer.open(draft, owner);
  } catch (error) {
    throw new SkerryError("unauthenticated", "This was begun elsewhere, or with another link.", {
      remedy: "Open the link again, and finish it there.",
      cause: error,
    });
  }
}

export function wrongCode(): SkerryError {
  return new SkerryError("invalid-request", "The code is not what the authenticator shows now.", {
    errors: [{ path: "/totpCode", message: "must be the six digits that the authenticator shows" }],
    remedy: "Wait for its next code. If none fits, see to its clock and to the server's.",
  });
}
