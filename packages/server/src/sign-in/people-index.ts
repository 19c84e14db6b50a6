import type { ApiTokenResource, KindName, ResourceOf } from "@skerry/model";
import type { ChangeEvent, Store, Tracker, View } from "@skerry/store";

/**
 * Who is who, as of the newest state, durable or in flight: users by what identity providers know them as, and which sessions each has. A
 * sign-in costs what is its user's, however many others there are; a change of anything else costs a comparison.
 */
export class PeopleIndex implements Tracker {
  /** Ids of users by identity, and the identity that each is kept under. */
  #users = new Map<string, string>();
  #identities = new Map<string, string>();
  /** Ids of sessions by their user's name. */
  #sessions = new Map<string, Set<string>>();
  readonly #stop: () => void;

  constructor(store: Pick<Store, "track">) {
    this.#stop = store.track(this);
  }

  close(): void {
    this.#stop();
  }

  /** Whom an issuer knows by this subject; perhaps gone by the time that is looked up. */
  userIdOf(issuer: string, subject: string): string | undefined {
    return this.#users.get(identityKey({ issuer, subject }));
  }

  /** Of a user, in no order. */
  sessionIdsOf(user: string): Iterable<string> {
    return this.#sessions.get(user) ?? [];
  }

  reset(newest: View): void {
    this.#users = new Map();
    this.#identities = new Map();
    this.#sessions = new Map();
    for (const user of newest.scan("User")) this.#put(user);
    for (const token of newest.scan("ApiToken")) this.#put(token);
  }

  applied(events: readonly ChangeEvent[]): void {
    for (const { type, object } of events)
      if (type === "deleted") this.#remove(object);
      else this.#put(object);
  }

  #put(object: ResourceOf<KindName>): void {
    if (object.kind === "ApiToken") {
      const user = sessionUserOf(object);
      if (user === undefined) return;
      const others = this.#sessions.get(user) ?? new Set();
      others.add(object.metadata.id);
      this.#sessions.set(user, others);
    }
    if (object.kind !== "User") return;
    const { identity } = object.status;
    const key = identity === undefined ? undefined : identityKey(identity);
    if (this.#identities.get(object.metadata.id) === key) return;
    this.#forget(object.metadata.id);
    if (key === undefined) return;
    this.#users.set(key, object.metadata.id);
    this.#identities.set(object.metadata.id, key);
  }

  #remove(object: ResourceOf<KindName>): void {
    const { id } = object.metadata;
    if (object.kind === "User") return this.#forget(id);
    const user = object.kind === "ApiToken" ? sessionUserOf(object) : undefined;
    if (user === undefined) return undefined;
    const left = this.#sessions.get(user);
    left?.delete(id);
    if (left?.size === 0) this.#sessions.delete(user);
  }

  #forget(userId: string): void {
    const key = this.#identities.get(userId);
    if (key === undefined) return;
    this.#identities.delete(userId);
    if (this.#users.get(key) === userId) this.#users.delete(key);
  }
}

/** Whose session a token is; undefined where it is none. */
export function sessionUserOf({ spec: { owner }, status }: ApiTokenResource): string | undefined {
  return status.session !== undefined && owner?.kind === "User" ? owner.name : undefined;
}

function identityKey({ issuer, subject }: { readonly issuer: string; readonly subject: string }): string {
  return JSON.stringify([issuer, subject]);
}
