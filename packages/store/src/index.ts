export type { ChangeEvent, Committed, Key, Store, Tracker, Transaction, View } from "./store.ts";
export type { ReplicatedStore, Role } from "./replicated-store.ts";
export { openPostgresStore, type PostgresStoreOptions } from "./postgres/open.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./sqlite/open.ts";
