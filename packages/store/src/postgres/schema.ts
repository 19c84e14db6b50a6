/** Definitions that PostgreSQL and databases that speak its language take alike. Times are milliseconds since 1970. */
export const schemaVersion = 2;

export const schema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS skerry_meta (name text PRIMARY KEY, value text NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS skerry_objects (
     kind text NOT NULL, id text NOT NULL, project text, name text NOT NULL, revision bigint NOT NULL, body text NOT NULL,
     sum bigint NOT NULL, PRIMARY KEY (kind, id))`,
  // The epoch says which leader wrote a change: after a lost connection it tells whether one's own commit was carried out.
  `CREATE TABLE IF NOT EXISTS skerry_changes (
     revision bigint PRIMARY KEY, epoch bigint NOT NULL, kind text NOT NULL, id text NOT NULL, project text,
     name text NOT NULL, type text NOT NULL, body text NOT NULL, time_ms bigint NOT NULL,
     sum bigint NOT NULL)`,
  // One row. Its epoch grows with each leader; its renewals with each sign of life of that leader.
  `CREATE TABLE IF NOT EXISTS skerry_leadership (
     one integer PRIMARY KEY CHECK (one = 1), epoch bigint NOT NULL, renewals bigint NOT NULL, holder text NOT NULL,
     url text NOT NULL)`,
  // New with version 2.
  `CREATE TABLE IF NOT EXISTS skerry_audit (
     seq bigint PRIMARY KEY, epoch bigint NOT NULL, revision bigint NOT NULL, time_ms bigint NOT NULL, actor text NOT NULL,
     kinds text NOT NULL, projects text NOT NULL, operation text, bytes bigint NOT NULL, hash text NOT NULL,
     record text NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS skerry_audit_operation ON skerry_audit (operation) WHERE operation IS NOT NULL`,
];
