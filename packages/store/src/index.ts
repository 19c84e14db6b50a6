export type { ChangeEvent, Committed, Key, Store, Transaction, View } from "./store.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./sqlite/open.ts";
