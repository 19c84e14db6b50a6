import { argon2 as derive, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { SkerryError, type UserResource } from "@skerry/model";

const argon2 = promisify(derive);

/** What is kept of a password. */
export type StoredPassword = NonNullable<NonNullable<UserResource["status"]["credentials"]>["password"]>;
export type PasswordCost = Pick<StoredPassword, "memoryKiB" | "passes">;

/** OWASP's first choice for Argon2id (password storage cheat sheet): 46 MiB, one pass; about 0.1 s of one core. */
const defaultCost: PasswordCost = { memoryKiB: 47_104, passes: 1 };
const saltBytes = 16;
const hashBytes = 32;
/** Each holds its memory while it runs; further ones wait, and beyond that are refused. */
const maxAtOnce = 2;
const maxWaiting = 64;

const shortest = 12;
const longest = 256;

/** @throws SkerryError invalid-request where it is too easily guessed */
export function checkNewPassword(password: string, user: string): void {
  const length = Array.from(password.normalize("NFKC")).length;
  const fault =
    length < shortest
      ? `has ${length} characters, and needs ${shortest}`
      : length > longest
        ? `has more than ${longest} characters`
        : new Set(password).size < 5 || password.toLowerCase().includes(user.toLowerCase())
          ? "is too easily guessed: it repeats itself, or has the user's name in it"
          : undefined;
  if (fault === undefined) return;
  throw new SkerryError("invalid-request", `The password ${fault}.`, {
    errors: [{ path: "/password", message: fault }],
    remedy: "Choose another one: some words that nobody else would put together, or what a password manager makes.",
  });
}

/** Hashes passwords by Argon2id, in threads of the runtime, a few at a time. */
export class PasswordHasher {
  readonly #cost: PasswordCost;
  readonly #decoy: Promise<StoredPassword>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(cost: PasswordCost = defaultCost) {
    this.#cost = cost;
    const salt = randomBytes(saltBytes).toString("base64url");
    this.#decoy = Promise.resolve({ ...cost, salt, hash: randomBytes(hashBytes).toString("base64url"), setAt: "" });
  }

  async hash(password: string, setAt: string): Promise<StoredPassword> {
    const salt = randomBytes(saltBytes);
    const hash = await this.#derive(password, salt, this.#cost);
    return { hash: hash.toString("base64url"), salt: salt.toString("base64url"), ...this.#cost, setAt };
  }

  /** Whether it is the one that was stored; where none was, the same work is done for nothing. */
  async matches(password: string, stored: StoredPassword | undefined): Promise<boolean> {
    const expected = stored ?? (await this.#decoy);
    const salt = Buffer.from(expected.salt, "base64url");
    const hash = await this.#derive(password, salt, expected);
    const known = Buffer.from(expected.hash, "base64url");
    return known.length === hash.length && timingSafeEqual(known, hash) && stored !== undefined;
  }

  /** Whether it was hashed for less than what is asked today, so that it is to be hashed anew when it is next at hand. */
  isWeak({ memoryKiB, passes }: StoredPassword): boolean {
    return memoryKiB * passes < this.#cost.memoryKiB * this.#cost.passes;
  }

  async #derive(password: string, nonce: Buffer, { memoryKiB, passes }: PasswordCost): Promise<Buffer> {
    await this.#enter();
    try {
      // The same password, however the keyboard composes its letters.
      const message = password.normalize("NFKC");
      return await argon2("argon2id", {
        message,
        nonce,
        parallelism: 1,
        tagLength: hashBytes,
        memory: memoryKiB,
        passes,
      });
    } finally {
      const next = this.#waiting.shift();
      // Whoever waited takes the place over.
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < maxAtOnce) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= maxWaiting)
      throw new SkerryError("too-many-requests", "Too many passwords are being checked.", {
        remedy: "Ask again in some seconds.",
        facts: { retryAfterSeconds: 5 },
      });
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
