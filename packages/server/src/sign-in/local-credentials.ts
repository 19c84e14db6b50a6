import { SkerryError, type UserResource } from "@skerry/model";
import type { Store, Transaction } from "@skerry/store";
import { addressSource } from "../authorisation/failure-limit.ts";
import { timestamp, type Clock } from "../operations/clock.ts";
import type { Sealer } from "../secrets/sealer.ts";
import type { AttemptLimit, Source } from "./attempt-limit.ts";
import type { PasswordHasher, StoredPassword } from "./password.ts";
import { withoutCode } from "./recovery-codes.ts";
import { fromBase32, stepOf, totpSecretBytes } from "./totp.ts";

export type Credentials = NonNullable<UserResource["status"]["credentials"]>;

/** What a local user shows: what they know, and what they have. */
export interface Proof {
  readonly password: string;
  /** Of their authenticator, or a recovery code. */
  readonly code: string;
}

/** A proof that was right when it was looked at. */
export interface Proven {
  /**
   * Takes the code, so that it serves once: to be called in the transaction that does what was asked, and whose result is to be put.
   * @throws SkerryError unauthenticated where the code was taken meanwhile, or the credentials are others by now
   */
  use(tx: Transaction): { readonly user: UserResource; readonly by: "password" | "recovery-code" };
}

export interface LocalCredentialsDeps {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly attempts: AttemptLimit;
}

/** Tries of one user from one network, of one user from anywhere, and of anyone from one network. */
const allowances = {
  here: { burst: 10, refillMs: 60_000 },
  user: { burst: 100, refillMs: 30_000 },
  address: { burst: 30, refillMs: 2000 },
};

const noSecret = new Uint8Array(totpSecretBytes);

/** The one guard of what local users know and have. */
export class LocalCredentials {
  readonly #deps: LocalCredentialsDeps;

  constructor(deps: LocalCredentialsDeps) {
    this.#deps = deps;
  }

  /**
   * Whether this is who they say: the same work and the same answer, whichever part is wrong or whether there is such a user.
   * @param address where it was asked from
   * @throws SkerryError unauthenticated, too-many-requests
   */
  async prove(name: string, { password, code }: Proof, address: string): Promise<Proven> {
    const { store, clock, hasher, attempts } = this.#deps;
    const giveBack = attempts.take(sourcesOf(name, address));
    const user = store.get("User", { name });
    const credentials = user?.spec.disabled === true ? undefined : user?.status.credentials;
    const isPassword = await hasher.matches(password, credentials?.password).catch((error: unknown) => {
      // Too busy to look is no wrong try.
      giveBack();
      throw error;
    });
    const taken = this.#take(user?.metadata.id ?? "", credentials ?? {}, code);
    if (!isPassword || taken === undefined) throw wrong();
    giveBack();
    const { password: matched } = credentials ?? {};
    const raised =
      matched !== undefined && hasher.isWeak(matched)
        ? await hasher.hash(password, timestamp(clock.nowMs()))
        : undefined;
    return { use: (tx) => this.#use(tx, name, code, matched, raised) };
  }

  #use(
    tx: Transaction,
    name: string,
    code: string,
    matched: StoredPassword | undefined,
    raised: StoredPassword | undefined,
  ): ReturnType<Proven["use"]> {
    const user = tx.get("User", { name });
    const credentials = user?.status.credentials;
    const stillIs =
      matched !== undefined && credentials?.password?.hash === matched.hash && user?.spec.disabled !== true;
    const taken = stillIs ? this.#take(user?.metadata.id ?? "", credentials ?? {}, code) : undefined;
    if (user === undefined || taken === undefined) throw wrong();
    const password = raised === undefined ? {} : { password: { ...raised, setAt: matched?.setAt ?? raised.setAt } };
    return { user: withCredentials(user, { ...credentials, ...password, ...taken.changed }), by: taken.by };
  }

  /** What of the credentials changes where a code is taken; undefined where it is none. */
  #take(
    userId: string,
    { totp, recoveryHashes = [] }: Credentials,
    code: string,
  ): { readonly changed: Credentials; readonly by: "password" | "recovery-code" } | undefined {
    const { sealer, clock } = this.#deps;
    const secret = totp === undefined ? noSecret : fromBase32(sealer.open(totp.secret, totpOwner(userId)));
    const step = stepOf(secret, code, clock.nowMs(), totp?.lastStep ?? Number.POSITIVE_INFINITY);
    const left = withoutCode(recoveryHashes, code);
    if (totp !== undefined && step !== undefined)
      return { changed: { totp: { ...totp, lastStep: step } }, by: "password" };
    return left === undefined ? undefined : { changed: { recoveryHashes: left }, by: "recovery-code" };
  }
}

/** Whose the sealed secret of an authenticator is. */
export function totpOwner(userId: string): string {
  return `${userId} status.credentials.totp`;
}

export function withCredentials(user: UserResource, credentials: Credentials): UserResource {
  return { ...user, status: { ...user.status, credentials } };
}

function sourcesOf(name: string, address: string): readonly Source[] {
  const from = addressSource(address);
  return [
    { name: `user ${name} ${from}`, allowance: allowances.here },
    { name: `user ${name}`, allowance: allowances.user },
    { name: from, allowance: allowances.address },
  ];
}

function wrong(): SkerryError {
  return new SkerryError("unauthenticated", "The name, the password or the code is wrong.", {
    remedy:
      "A code serves once: wait for the next one. Who has lost theirs uses a recovery code, or asks a platform-admin: skerry user invite NAME.",
  });
}
