import { randomBytes } from "node:crypto";
import { SkerryError } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { Principal } from "../authorisation/principal.ts";
import { timestamp } from "../operations/clock.ts";
import { wrongCode } from "./enrolment.ts";
import { totpOwner, withCredentials, type LocalCredentialsDeps, type Proven } from "./local-credentials.ts";
import { checkNewPassword } from "./password.ts";
import { makeRecoveryCodes } from "./recovery-codes.ts";
import type { PeopleIndex } from "./people-index.ts";
import { endSessions, sessionsOf } from "./session.ts";
import { fromBase32, stepOf, toBase32, totpSecretBytes } from "./totp.ts";

/* What users change of their own credentials: only with the current ones, whatever token they are known by. */

interface OwnCredentialsDeps extends LocalCredentialsDeps {
  readonly people: Pick<PeopleIndex, "sessionIdsOf">;
}

/** Work for the transaction that changes it. */
export type OwnChange<T> = (tx: Transaction) => T;

/** A draft of a new authenticator is good for so long. */
const draftMs = 900_000;

/** @throws SkerryError forbidden where the token is not one that stands for all of a user */
export function ownName({ owner, name, rights }: Principal): string {
  if (owner === "User" && rights.limit === undefined) return name;
  throw new SkerryError(
    "forbidden",
    "Credentials are a user's, and theirs alone to change, by a token without limits.",
    {
      remedy: "Sign in as the user: skerry login --user NAME.",
    },
  );
}

/** Sets another password, and ends the user's other sessions. */
export async function changePassword(
  { hasher, clock, people }: OwnCredentialsDeps,
  proven: Proven,
  name: string,
  newPassword: string,
  tokenId: string,
): Promise<OwnChange<number>> {
  checkNewPassword(newPassword, name);
  const password = await hasher.hash(newPassword, timestamp(clock.nowMs()));
  return (tx) => {
    const { user } = proven.use(tx);
    tx.put(withCredentials(user, { ...user.status.credentials, password }));
    return endOthers(tx, people, name, tokenId);
  };
}

/** Makes recovery codes; those of before are worth nothing then. */
export function renewRecoveryCodes(proven: Proven): OwnChange<readonly string[]> {
  const { codes, hashes } = makeRecoveryCodes();
  return (tx) => {
    const { user } = proven.use(tx);
    tx.put(withCredentials(user, { ...user.status.credentials, recoveryHashes: hashes }));
    return codes;
  };
}

/** Begins with another authenticator: takes the code, and gives a secret that counts once it is confirmed. */
export function beginTotp(
  { sealer, clock }: LocalCredentialsDeps,
  proven: Proven,
): OwnChange<{ secret: string; draft: string }> {
  const secret = toBase32(randomBytes(totpSecretBytes));
  return (tx) => {
    const { user } = proven.use(tx);
    const { metadata, status } = tx.put(user);
    const draft = { secret, replaces: status.credentials?.totp?.setAt, untilMs: clock.nowMs() + draftMs };
    return { secret, draft: sealer.seal(JSON.stringify(draft), draftOwner(metadata.id)) };
  };
}

/** The draft's secret is the user's authenticator from now on; their other sessions end. */
export function confirmTotp(
  { sealer, clock, people }: OwnCredentialsDeps,
  name: string,
  draft: string,
  totpCode: string,
  tokenId: string,
): OwnChange<number> {
  return (tx) => {
    const user = tx.get("User", { name });
    const credentials = user?.status.credentials;
    const nowMs = clock.nowMs();
    const { secret, replaces, untilMs } = openDraft(sealer, draft, user?.metadata.id ?? "");
    if (
      user === undefined ||
      credentials?.totp === undefined ||
      credentials.totp.setAt !== replaces ||
      !(nowMs < untilMs)
    )
      throw overDraft();
    const lastStep = stepOf(fromBase32(secret), totpCode, nowMs, -1);
    if (lastStep === undefined) throw wrongCode();
    const totp = { secret: sealer.seal(secret, totpOwner(user.metadata.id)), setAt: timestamp(nowMs), lastStep };
    tx.put(withCredentials(user, { ...credentials, totp }));
    return endOthers(tx, people, name, tokenId);
  };
}

function endOthers(tx: Transaction, people: Pick<PeopleIndex, "sessionIdsOf">, user: string, tokenId: string): number {
  const others = sessionsOf(tx, people, user).filter(({ metadata }) => metadata.id !== tokenId);
  endSessions(tx, others);
  return others.length;
}

interface TotpDraft {
  readonly secret: string;
  readonly replaces?: string;
  readonly untilMs: number;
}

function openDraft(sealer: LocalCredentialsDeps["sealer"], draft: string, userId: string): TotpDraft {
  try {
    return JSON.parse(sealer.open(draft, draftOwner(userId))) as TotpDraft;
  } catch (error) {
    throw overDraft(error);
  }
}

function overDraft(cause?: unknown): SkerryError {
  return new SkerryError("conflict", "This change of authenticator was not begun by you, was ended, or is too old.", {
    remedy: "Begin anew: skerry user totp.",
    cause,
  });
}

function draftOwner(userId: string): string {
  return `authenticator of ${userId}`;
}
