import { resolve } from "node:path";
import type { Command } from "commander";
import { SkerryError } from "@skerry/model";
import type { GivenRole, WhoAmI } from "@skerry/sdk";
import type { CommandDeps } from "../command-deps.ts";
import { checkServer, chooseContext, readContexts, writeContexts, type Context } from "../contexts.ts";
import { printLines, renderValue } from "../output/render.ts";
import { openSession, readAuthority, withConnection } from "../session.ts";
import { enrolByLink, keepSession, readLink } from "../signing-in.ts";
import { given, toNumber } from "./flag-values.ts";

interface LoginFlags {
  readonly context?: string;
  readonly server?: string;
  readonly authority?: string;
  readonly user?: string;
  readonly firstStart?: string;
  readonly invitation?: string;
  readonly identityProvider?: string;
  readonly device?: boolean;
  readonly role?: string;
  readonly onlyProject?: string;
  readonly lifetime?: number;
}

/** `login`, `logout` and `whoami`. */
export function addSignInCommands(program: Command, deps: CommandDeps): void {
  addLogin(program, deps);
  addLogout(program, deps);
  addWhoAmI(program, deps);
}

function addLogin(program: Command, deps: CommandDeps): void {
  const { terminal, signal } = deps;
  program
    .command("login")
    .description("sign in, and keep the session with a context, which becomes the current one")
    .option("--context <name>", "the context; the current one, or one named after the server")
    .option("--server <url>", "the control plane's address; the context's where absent")
    .option("--authority <file>", "PEM of its own authority")
    .option("--user <name>", "who; asked for where absent")
    .option("--first-start <link>", "the link of a first start: be the first administrator")
    .option("--invitation <link>", "a one-time link: set password and authenticator")
    .option("--identity-provider <name>", "sign in there, by a browser on this machine")
    .option("--device", "sign in at an identity provider by a browser anywhere, which a code is typed into")
    .option("--role <role>", "of what you may do, at most this")
    .option("--only-project <name>", "limit the session to one project")
    .option("--lifetime <seconds>", "how long it lasts; 12 hours where absent", toNumber)
    .action(async (flags: LoginFlags) => {
      const link = flags.firstStart ?? flags.invitation;
      const opened = link === undefined ? undefined : readLink(link);
      const { name, context } = loginContext({ ...flags, ...(opened === undefined ? {} : { server: opened.server }) });
      const { createNodeSignInClient } = await import("@skerry/sdk/node");
      const { server, authorityFile } = context;
      const client = createNodeSignInClient({
        ...{ server, token: "" },
        ...(authorityFile === undefined ? {} : { authority: readAuthority(authorityFile) }),
      });
      const { openPrompts } = await import("../prompts.ts");
      using prompts = openPrompts(deps);
      const limits = given({ role: flags.role, project: flags.onlyProject, lifetimeSeconds: flags.lifetime });
      const { identityProvider, device = false } = flags;
      const signIn = async () => {
        const { signInByBrowser, signInByDevice } = await import("../identity-sign-in.ts");
        if (device) return signInByDevice(deps, { client, identityProvider, limits });
        if (identityProvider !== undefined) return signInByBrowser(deps, { client, identityProvider, limits });
        const user = flags.user ?? (await prompts.ask("User"));
        const password = await prompts.ask("Password", "hidden");
        const code = await prompts.ask("Code of the authenticator, or a recovery code");
        return client.signIn({ user, password, code, ...limits }, signal);
      };
      const session =
        opened === undefined ? await signIn() : await enrolByLink(deps, client, prompts, opened.code, flags.user);
      keepSession(name, context, session);
      const until = session.expiresAt === undefined ? "" : `, until ${session.expiresAt}`;
      terminal.err.write(`signed in as ${session.user} at ${server}${until}; context ${name}\n`);
    });
}

/** The context to sign in with, and its name: one that there is, or a new one for a server that has none. */
function loginContext({ context: wanted, server, authority }: LoginFlags): { name: string; context: Context } {
  const known = readContexts();
  const asked = wanted ?? process.env["SKERRY_CONTEXT"];
  if (server !== undefined) checkServer(server);
  const url = server?.replace(/\/+$/, "");
  const ofServer = Object.entries(known.contexts).find(([, context]) => context.server === url)?.[0];
  const isCurrent = known.current !== undefined && known.contexts[known.current]?.server === url;
  const name =
    asked ??
    (url === undefined || isCurrent ? known.current : (ofServer ?? new URL(url).hostname.replaceAll(/[[\]]/g, "")));
  const authorityFile = authority === undefined ? undefined : resolve(authority);
  const before = name === undefined ? undefined : known.contexts[name];
  if (name === undefined || (before === undefined && url === undefined)) {
    // Says which there are, and what to do.
    chooseContext(known, asked);
    throw new SkerryError("not-found", "No control plane is chosen.");
  }
  if (before !== undefined && url !== undefined && before.server !== url) {
    throw new SkerryError("conflict", `The context ${name} is for ${before.server}.`, {
      remedy: "Name another one: --context NAME",
    });
  }
  const context = { ...(before ?? { server: url ?? "" }), ...(authorityFile === undefined ? {} : { authorityFile }) };
  return { name, context };
}

function addLogout(program: Command, { terminal, signal }: CommandDeps): void {
  program
    .command("logout")
    .description("end the session of a context, at the server and here")
    .option("--context <name>", "the context; the current one if absent")
    .option("--everywhere", "end all sessions of its user")
    .action(async (flags: { context?: string; everywhere?: boolean }) => {
      const known = readContexts();
      const name = flags.context ?? process.env["SKERRY_CONTEXT"] ?? known.current;
      const { session, ...context } = chooseContext(known, name);
      if (session === undefined || name === undefined) {
        throw new SkerryError("not-found", "Nobody is signed in with this context.", {
          remedy: "Sign in: skerry login --user NAME",
        });
      }
      const { createNodeSignInClient } = await import("@skerry/sdk/node");
      const { server, authorityFile } = context;
      const client = createNodeSignInClient({
        ...{ server, token: session.token },
        ...(authorityFile === undefined ? {} : { authority: readAuthority(authorityFile) }),
      });
      let ended = 0;
      try {
        ended = await client.signOut(flags.everywhere ?? false, signal);
      } catch (error) {
        // What the server knows of no more is ended; else it goes on there, and is kept here to be ended.
        if (!(error instanceof SkerryError) || error.code !== "unauthenticated") throw error;
      }
      writeContexts({ ...known, contexts: { ...known.contexts, [name]: context } });
      const others = ended > 1 ? `, with ${ended - 1} other sessions` : "";
      const next = context.tokenFile === undefined ? "" : `; commands use the token in ${context.tokenFile} now`;
      terminal.err.write(`${session.user} is signed out of ${server}${others}${next}\n`);
    });
}

function addWhoAmI(program: Command, { terminal, signal }: CommandDeps): void {
  withConnection(program.command("whoami"))
    .description("show who commands act as, and what that may do")
    .action(async (_flags: object, command: Command) => {
      const { client, context, output } = await openSession(terminal, command);
      const who = await client.whoAmI(signal);
      if (output === "table") printLines(terminal, whoLines(who, context));
      else await renderValue(terminal, { ...who, server: context.server }, output);
    });
}

function whoLines({ name, owner, roles, limit, expiresAt }: WhoAmI, { server }: Context): string[] {
  const words = { User: "user", ServiceAccount: "service account" };
  return [
    `${name} (${owner === undefined ? "API token" : words[owner]}) at ${server}`,
    ...(roles.length === 0 ? ["no roles"] : roles.map(roleWords)),
    ...(limit === undefined ? [] : [`at most ${roleWords(limit)}`]),
    ...(expiresAt === undefined ? [] : [`until ${expiresAt}`]),
  ];
}

function roleWords({ role, project, organisation, provider }: GivenRole): string {
  if (project !== undefined) return `${role} in project ${project}`;
  if (organisation !== undefined) return `${role} in organisation ${organisation}`;
  return provider === undefined ? `${role} in the zone` : `${role} at provider ${provider}`;
}
