import { readFileSync } from "node:fs";
import { Option, type Command } from "commander";
import { SkerryError, kinds, type KindName } from "@skerry/model";
import type { CallTrace, Client, ResourceKey } from "@skerry/sdk";
import { readToken } from "./commands/context.ts";
import { checkServer, chooseContext, readContexts, type Context } from "./contexts.ts";
import { formatDuration } from "./output/duration.ts";
import { outputFormats, type OutputFormat } from "./output/render.ts";
import { paint, type Terminal } from "./output/terminal.ts";

/** What every command that talks to a control plane has at hand. */
export interface Session {
  readonly client: Client;
  readonly context: Context;
  readonly output: OutputFormat;
  readonly wait: boolean;
  /** Completes a key with the chosen project, for kinds that live in one. @throws SkerryError invalid-request without a project */
  key(kind: KindName, name: string): ResourceKey;
  /** The chosen project, if any. */
  readonly project: string | undefined;
}

export interface ConnectionOptions {
  readonly context?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly authority?: string;
  readonly project?: string;
  readonly output?: OutputFormat;
  readonly wait?: boolean;
  readonly reason?: string;
}

/** Adds the options that say which control plane, which project and how to print. */
export function withConnection(command: Command): Command {
  return command
    .option("--context <name>", "control plane to talk to (SKERRY_CONTEXT); the current one if absent")
    .option("--server <url>", "its address, instead of a context's (SKERRY_SERVER)")
    .option("--token-file <file>", "file with the API token (SKERRY_TOKEN_FILE)")
    .option("--authority <file>", "PEM of its own authority (SKERRY_AUTHORITY)")
    .option("-p, --project <name>", "project (SKERRY_PROJECT)")
    .addOption(new Option("-o, --output <format>", "how to print").choices(outputFormats).default("table"));
}

/** Adds `--reason`, for commands that change something. */
export function withReason(command: Command): Command {
  return command.option("--reason <text>", "why, for the audit log");
}

/** Adds `--wait` with its live progress and `--dry-run` with its plan. */
export function withMutation(command: Command): Command {
  return withReason(withConnection(command))
    .option("-w, --wait", "wait for the operation to end, showing its steps")
    .option("--dry-run", "show what would change, change nothing");
}

/** Opens the session that a command's options, the environment and the contexts describe, in this order of precedence. */
export async function openSession(terminal: Terminal, command: Command): Promise<Session> {
  const options = command.opts<ConnectionOptions>();
  const verbose = command.optsWithGlobals<{ verbose?: boolean }>().verbose ?? false;
  const context = resolveContext(options);
  const { createNodeClient } = await import("@skerry/sdk/node");
  const client = createNodeClient({
    server: context.server,
    token: tokenOf(context),
    ...(context.authorityFile === undefined ? {} : { authority: readAuthority(context.authorityFile) }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
    ...(verbose ? { onCall: (call: CallTrace) => traceCall(terminal, context, call) } : {}),
  });
  const project = options.project ?? process.env["SKERRY_PROJECT"] ?? context.project;
  return {
    client,
    context,
    output: options.output ?? "table",
    wait: options.wait ?? false,
    project,
    key: (kind, name) => {
      if (kinds[kind].scope === "zone") return { name };
      const [first = "", second, ...more] = name.split("/");
      if (second !== undefined) {
        if (first !== "" && second !== "" && more.length === 0) return { project: first, name: second };
        throw new SkerryError("invalid-request", `"${name}" is not a name.`, { remedy: "Write NAME or PROJECT/NAME." });
      }
      if (project !== undefined) return { project, name };
      throw new SkerryError("invalid-request", `${kinds[kind].plural} live in a project, and none is chosen.`, {
        remedy: "Give --project NAME, write PROJECT/NAME, or set one with `skerry context add … --project NAME`.",
      });
    },
  };
}

/** What to show the control plane. @throws SkerryError unauthenticated where there is nothing, or not any more */
export function tokenOf({ session, tokenFile }: Context): string {
  const isOver = session?.expiresAt !== undefined && Date.parse(session.expiresAt) <= Date.now();
  if (session !== undefined && !isOver) return session.token;
  if (tokenFile !== undefined) return readToken(tokenFile);
  throw new SkerryError("unauthenticated", isOver ? "The session is over." : "Nobody is signed in here.", {
    remedy: `Sign in: skerry login --user ${session?.user ?? "NAME"}`,
  });
}

/** The context that options, the environment and the contexts' file describe. */
export function resolveContext(options: ConnectionOptions): Context {
  const environment = process.env;
  const server = options.server ?? environment["SKERRY_SERVER"];
  const tokenFile = options.tokenFile ?? environment["SKERRY_TOKEN_FILE"];
  const authorityFile = options.authority ?? environment["SKERRY_AUTHORITY"];
  if (server !== undefined) checkServer(server);
  if (server !== undefined && tokenFile !== undefined) {
    return { server: server.replace(/\/+$/, ""), tokenFile, ...(authorityFile === undefined ? {} : { authorityFile }) };
  }
  const { session, ...chosen } = chooseContext(readContexts(), options.context ?? environment["SKERRY_CONTEXT"]);
  // A session is for the server that gave it, and gives way to a token that is named.
  const keeps = tokenFile === undefined && (server === undefined || server.replace(/\/+$/, "") === chosen.server);
  return {
    ...chosen,
    ...(keeps && session !== undefined ? { session } : {}),
    ...(server === undefined ? {} : { server }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(authorityFile === undefined ? {} : { authorityFile }),
  };
}

export function readAuthority(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SkerryError("invalid-request", `The authority file ${path} cannot be read.`, {
      remedy: "It is pki/ca.pem in the server's data directory; copy it here and name it with --authority.",
      cause: error,
    });
  }
}

function traceCall(terminal: Terminal, context: Context, call: CallTrace): void {
  const body = call.body === undefined ? "" : ` -d '${JSON.stringify(call.body).replaceAll("'", String.raw`'\''`)}'`;
  const text = `curl -X ${call.method} --cacert ${context.authorityFile ?? "…"} -H "Authorization: Bearer ${context.session === undefined ? `$(cat ${context.tokenFile ?? "…"})` : "…"}"${body} '${context.server}${call.path}'`;
  terminal.err.write(
    `${paint(terminal.err, "dim", `${text}  # ${call.status} in ${formatDuration(call.elapsedMs)}`)}\n`,
  );
}
