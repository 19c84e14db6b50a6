/**
 * What each package may import of the others, by name below `@skerry/`. Arrows point one way; ARCHITECTURE.md draws
 * them. Server and agent never import each other: they share `protocol` alone.
 */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  model: [],
  placement: ["model"],
  protocol: ["model"],
  providers: ["model"],
  store: ["model"],
  sdk: ["model"],
  agent: ["protocol", "model"],
  server: ["store", "placement", "providers", "protocol", "model"],
  testbed: ["sdk", "providers", "model"],
  fleet: ["sdk", "protocol", "model"],
  cli: ["sdk", "model", "testbed", "fleet", "server", "agent"],
  testkit: ["sdk", "model", "store", "placement", "protocol", "providers", "server", "agent"],
};

/** Arrows that only `import()` may follow, so that no verb of the CLI loads a server or an agent for nothing. */
export const onlyDynamic: Readonly<Record<string, readonly string[]>> = { cli: ["server", "agent"] };

/** Fakes and fixtures, which nothing but tests may import. */
export const testOnly: readonly string[] = ["testkit"];

/** Packages without I/O, or which also run in a browser: no module of Node in their sources, src/node* excepted. */
export const withoutNode: readonly string[] = ["model", "placement", "sdk"];
