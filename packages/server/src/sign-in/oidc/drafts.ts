import { randomBytes } from "node:crypto";
import { SkerryError } from "@skerry/model";
import type { Clock } from "../../operations/clock.ts";
import type { Sealer } from "../../secrets/sealer.ts";

const owner = "sign-in at an identity provider";
/** How many may be remembered: those that were used, and those that wait. */
const maxRemembered = 20_000;

/** What was begun, kept by who began it: sealed, good for a while, and once. */
export interface Draft {
  readonly id: string;
  readonly untilMs: number;
  readonly providerId: string;
}

/** Seals what is begun, so that nothing is kept here of whoever never comes back, and knows which was used. */
export class Drafts {
  readonly #sealer: Sealer;
  readonly #clock: Pick<Clock, "nowMs">;
  /** By id: until when it must be remembered. Used ones, and others not before a moment. */
  readonly #used = new Map<string, number>();
  readonly #notBefore = new Map<string, { readonly untilMs: number; readonly atMs: number; readonly stepMs: number }>();

  constructor(sealer: Sealer, clock: Pick<Clock, "nowMs">) {
    this.#sealer = sealer;
    this.#clock = clock;
  }

  seal(content: object, providerId: string, lifetimeMs: number): string {
    const id = randomBytes(16).toString("base64url");
    return this.#sealer.seal(
      JSON.stringify({ ...content, id, providerId, untilMs: this.#clock.nowMs() + lifetimeMs }),
      owner,
    );
  }

  /** @param word what kind of draft it must be @throws SkerryError unauthenticated where it is none, over, or used */
  open<T extends { readonly flow: string }>(sealed: string, flow: T["flow"]): T & Draft {
    let draft: T & Draft;
    try {
      draft = JSON.parse(this.#sealer.open(sealed, owner)) as T & Draft;
    } catch (error) {
      throw overDraft(error);
    }
    if (draft.flow !== flow || !(this.#clock.nowMs() < draft.untilMs) || this.#used.has(draft.id)) throw overDraft();
    return draft;
  }

  /** From now on it is used, whatever comes of it. @throws SkerryError unauthenticated where it was */
  use({ id, untilMs }: Draft): void {
    if (this.#used.has(id)) throw overDraft();
    this.#makeRoom(this.#used, (until) => until);
    this.#used.set(id, untilMs);
    this.#notBefore.delete(id);
  }

  /** How long until it may be asked for again; where that is now, the next time is a step later. */
  waitMs({ id, untilMs }: Draft, stepMs: number): number {
    const nowMs = this.#clock.nowMs();
    const known = this.#notBefore.get(id) ?? { atMs: 0, stepMs };
    if (nowMs < known.atMs) return known.atMs - nowMs;
    this.#makeRoom(this.#notBefore, (entry) => entry.untilMs);
    this.#notBefore.set(id, { untilMs, atMs: nowMs + known.stepMs, stepMs: known.stepMs });
    return 0;
  }

  /** It is to be asked for less often. */
  slowDown({ id, untilMs }: Draft, byMs: number): void {
    const { stepMs = 5000 } = this.#notBefore.get(id) ?? {};
    this.#notBefore.set(id, { untilMs, atMs: this.#clock.nowMs() + stepMs + byMs, stepMs: stepMs + byMs });
  }

  #makeRoom<T>(map: Map<string, T>, untilOf: (entry: T) => number): void {
    if (map.size < maxRemembered) return;
    const nowMs = this.#clock.nowMs();
    for (const [id, entry] of map) if (untilOf(entry) <= nowMs) map.delete(id);
    if (map.size < maxRemembered) return;
    throw new SkerryError("too-many-requests", "Too many sign-ins are under way.", {
      facts: { retryAfterSeconds: 60 },
    });
  }
}

export function overDraft(cause?: unknown): SkerryError {
  return new SkerryError(
    "unauthenticated",
    "This sign-in was not begun here, was finished already, or took too long.",
    {
      remedy: "Begin anew: skerry login --identity-provider NAME",
      cause,
    },
  );
}
