import { hash } from "node:crypto";
import { SkerryError, type KindName, type RequestMark } from "@skerry/model";
import type { Key } from "@skerry/store";
import type { Place } from "../authorisation/place.ts";
import { timestamp } from "../operations/clock.ts";
import type { Reply } from "./route.ts";

/** How long a key is good for. */
export const keptMs = 3_600_000;
/** How many answers are remembered. They go with the process; `RecordedRequests` knows what was done from what it made. */
const keptAnswers = 10_000;
const keptBytes = 32 * 1024 * 1024;

/** What a request was answered with, and of what. */
export interface Answer {
  readonly reply: Reply;
  readonly kind: KindName;
  readonly key: Key;
  readonly place: Place;
}

interface Asked {
  readonly mark: RequestMark;
  readonly answer: Promise<Answer>;
}

interface Answered extends Asked {
  readonly untilMs: number;
  readonly bytes: number;
}

/** What makes two requests the same. */
export interface IdempotentRequest {
  readonly tokenId: string;
  readonly key: string;
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
}

/** Does the same request with the same key once; a failed one is forgotten, since it changed nothing. */
export class IdempotentAnswers {
  /** Never forgotten before its end; as many as there are requests at a time. */
  readonly #underWay = new Map<string, Asked>();
  /** Oldest first. */
  readonly #answered = new Map<string, Answered>();
  #bytes = 0;

  /**
   * @param authorise whether who asks again may have this answer by now: throws where not
   * @throws SkerryError conflict where the key was used for another request
   */
  async once(
    request: IdempotentRequest,
    nowMs: number,
    authorise: (answer: Answer) => void,
    work: (mark: RequestMark) => Promise<Answer>,
  ): Promise<Reply> {
    const id = `${request.tokenId} ${request.key}`;
    const mark: RequestMark = {
      key: digest(id),
      request: digest(JSON.stringify([request.method, request.url, request.body ?? null])),
      at: timestamp(nowMs),
    };
    this.#forgetOld(nowMs);
    const known = this.#underWay.get(id) ?? this.#answered.get(id);
    if (known !== undefined) {
      checkSame(known.mark, mark);
      const given = await known.answer;
      authorise(given);
      return given.reply;
    }
    const answer = work(mark);
    this.#underWay.set(id, { mark, answer });
    try {
      const { reply } = await answer;
      const bytes = JSON.stringify(reply).length;
      this.#answered.set(id, { mark, answer, untilMs: nowMs + keptMs, bytes });
      this.#bytes += bytes;
      return reply;
    } finally {
      this.#underWay.delete(id);
    }
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { untilMs, bytes }] of this.#answered) {
      const spare = this.#answered.size <= keptAnswers && this.#bytes <= keptBytes;
      if (spare && untilMs > nowMs) return;
      this.#answered.delete(id);
      this.#bytes -= bytes;
    }
  }
}

/** 128 bits: nobody comes upon the same by chance, and what it is of can't be read from it. */
function digest(text: string): string {
  return hash("sha256", text, "base64url").slice(0, 22);
}

/** @throws SkerryError conflict where a key was used for another request */
export function checkSame(known: RequestMark, asked: RequestMark): void {
  if (known.request === asked.request) return;
  throw new SkerryError("conflict", "This Idempotency-Key was used for another request.", {
    remedy: "Make a new key for each request.",
  });
}

/** @throws SkerryError invalid-request for a key that is empty, too long or not printable */
export function readIdempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === "string" && /^[\x21-\x7e]{1,128}$/.test(header)) return header;
  throw new SkerryError("invalid-request", "The Idempotency-Key is not 1 to 128 printable characters without spaces.", {
    remedy: "Send a random identifier, for example a UUID.",
  });
}
