import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Type, type Static } from "typebox";
import { Name, SkerryError, Timestamp, optional, parserOf, strict } from "@skerry/model";

/** How to reach one control plane, as whom: by a session, else by a token in a file of its own. */
export const Context = strict({
  server: Type.String({ pattern: "^https://" }),
  tokenFile: optional(Type.String()),
  /** What `skerry login` left: the file is its owner's alone. */
  session: optional(strict({ user: Name, token: Type.String(), expiresAt: optional(Timestamp) })),
  /** PEM of the control plane's own authority; the system's authorities where absent. */
  authorityFile: optional(Type.String()),
  project: optional(Name),
});
export type Context = Static<typeof Context>;

const Contexts = strict({ current: optional(Type.String()), contexts: Type.Record(Type.String(), Context) });
export type Contexts = Static<typeof Contexts>;

const parse = parserOf(Contexts, "context file");

function contextsPath(): string {
  const base = process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
  return process.env["SKERRY_CONTEXTS"] ?? join(base, "skerry", "contexts.json");
}

/** @throws SkerryError invalid-request where the file is not what this program wrote */
export function readContexts(path: string = contextsPath()): Contexts {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SkerryError("invalid-request", `${path} is not JSON.`, {
      remedy: "Correct it, or remove it and add the contexts again.",
      cause: error,
    });
  }
  return parse(value);
}

/** @throws SkerryError invalid-request where it is not the address of a control plane */
export function checkServer(server: string): void {
  const url = URL.parse(server);
  if (url?.protocol === "https:" && url.pathname === "/" && url.search === "" && url.hash === "") return;
  throw new SkerryError("invalid-request", `"${server}" is not the address of a control plane.`, {
    remedy: "Write https://HOST:PORT, as the server prints it at its start.",
  });
}

export function writeContexts(contexts: Contexts, path: string = contextsPath()): void {
  // What can't be read again must not be written.
  parse(contexts);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(partial, path);
}

/** The named context, or the current one. @throws SkerryError not-found with what to do */
export function chooseContext(contexts: Contexts, name: string | undefined): Context {
  const chosen = name ?? contexts.current;
  if (chosen === undefined) {
    throw new SkerryError("not-found", "No control plane is chosen.", {
      remedy:
        "Start one with `skerry server`, or try `skerry demo`; then sign in: `skerry login --server https://… --authority FILE`.",
    });
  }
  const context = contexts.contexts[chosen];
  if (context === undefined) {
    const known = Object.keys(contexts.contexts).join(", ") || "none";
    throw new SkerryError("not-found", `There is no context ${chosen} (known: ${known}).`, {
      remedy: "List them: `skerry context list`.",
    });
  }
  return context;
}
