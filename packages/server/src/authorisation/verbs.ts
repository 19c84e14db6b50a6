/** `connect` opens a byte stream into a guest; `act` asks for an action such as `:migrate`; `backup` reads all, secrets too; `audit` who did what. */
export const verbs = ["read", "put", "patch", "delete", "act", "connect", "upload", "backup", "audit"] as const;
export type Verb = (typeof verbs)[number];

/** What policies may call all verbs that change a resource. */
export const changing: ReadonlySet<Verb> = new Set(["put", "patch", "delete", "act", "upload"]);
