import { openPostgresStore, type ReplicatedStore, type Role } from "@skerry/store";
import type { PrivatePostgres } from "@skerry/testkit";
import type { Backend } from "../../contract/place.ts";

/** Fast enough that tests need not wait, slow enough for a busy machine. */
const pace = { pollMs: 10, renewMs: 100, takeOverMs: 1000 };

export interface ReplicaOptions {
  readonly replicaUrl?: string;
  readonly family?: string;
  readonly keepChanges?: number;
  readonly now?: () => number;
  readonly monotonicMs?: () => number;
}

export function openReplica(url: string, options: ReplicaOptions = {}): Promise<ReplicatedStore> {
  return openPostgresStore({ url, replicaUrl: "https://replica.test", family: "one", pace, ...options });
}

/** Resolves with the first role, from now on, that fits. */
export function roleOf<K extends Role["kind"]>(store: ReplicatedStore, kind: K): Promise<Extract<Role, { kind: K }>> {
  return new Promise((resolve) => {
    const look = (role: Role): void => {
      if (role.kind !== kind) return;
      stop();
      resolve(role as Extract<Role, { kind: K }>);
    };
    const stop = store.onRole(look);
    look(store.role);
  });
}

/** Stores of one replica each, which lead when they are given out. */
export function postgresBackend(postgres: () => PrivatePostgres): Backend {
  return {
    async makePlace() {
      const url = await postgres().makeDatabase();
      return {
        async open(options) {
          const store = await openReplica(url, options);
          await roleOf(store, "leader");
          return store;
        },
        dispose: () => Promise.resolve(),
      };
    },
  };
}
