import type { Command } from "commander";
import type { OwnProof, SignInClient } from "@skerry/sdk";
import type { CommandDeps } from "../command-deps.ts";
import { concludeMutation, showPlan } from "../mutation.ts";
import { renderValue } from "../output/render.ts";
import type { Prompts } from "../prompts.ts";
import {
  openSession,
  readAuthority,
  resolveContext,
  tokenOf,
  withConnection,
  withMutation,
  type ConnectionOptions,
} from "../session.ts";
import { askNewPassword, showAuthenticator, showRecoveryCodes } from "../signing-in.ts";
import { toNumber } from "./flag-values.ts";

interface InviteFlags {
  readonly lifetime?: number;
  readonly dryRun?: boolean;
}

interface LinkFlags {
  readonly identityProvider: string;
  readonly subject: string;
  readonly dryRun?: boolean;
}

/** How users get credentials, and change their own. */
export function addUserCommands(program: Command, deps: CommandDeps): void {
  const { terminal, signal } = deps;
  const user = program.commands.find((command) => command.name() === "user");
  if (user === undefined) throw new Error("the kind commands come first");

  withMutation(user.command("invite <name>"))
    .description("make a one-time link by which they set password and authenticator, anew where they have some")
    .option("--lifetime <seconds>", "how long the link is good for; a day where absent", toNumber)
    .action(async (name: string, { lifetime, dryRun }: InviteFlags, command: Command) => {
      const session = await openSession(terminal, command);
      const input = lifetime === undefined ? {} : { lifetimeSeconds: lifetime };
      if (dryRun ?? false) {
        const planned = { verb: "action", action: "invite", input } as const;
        return showPlan(terminal, session, "User", { name }, planned, signal);
      }
      const { resource, secret } = await session.client.action("User", { name }, "invite", input, {}, signal);
      const link = `${session.context.server}/enrol?code=${secret ?? ""}`;
      if (session.output !== "table") return renderValue(terminal, { resource, link }, session.output);
      terminal.err.write(
        `for ${name} alone, once, until ${resource.status.signIn?.invitedUntil ?? "it expires"}; shown this once:\n`,
      );
      terminal.out.write(`${link}\n`);
    });

  withMutation(user.command("link <name>"))
    .description("have them sign in by an identity provider from now on, as its subject, and by nothing else")
    .requiredOption("--identity-provider <name>", "who says who they are")
    .requiredOption("--subject <subject>", "who they are there")
    .action(async (name: string, { identityProvider, subject, dryRun }: LinkFlags, command: Command) => {
      const session = await openSession(terminal, command);
      const input = { identityProvider, subject };
      if (dryRun ?? false) {
        const planned = { verb: "action", action: "link", input } as const;
        return showPlan(terminal, session, "User", { name }, planned, signal);
      }
      const mutation = await session.client.action("User", { name }, "link", input, {}, signal);
      await concludeMutation(terminal, session, "linked", mutation, signal);
    });

  addOwn(
    user,
    deps,
    "password",
    "change your own password; your other sessions end",
    async (client, prompts, proof) => {
      const ended = await client.changePassword(proof, await askNewPassword(prompts), signal);
      terminal.err.write(`the password is changed; ${ended} other sessions ended\n`);
    },
  );
  addOwn(user, deps, "totp", "take another authenticator; your other sessions end", async (client, prompts, proof) => {
    const begun = await client.beginTotp(proof, signal);
    await showAuthenticator(deps, begun);
    const ended = await client.confirmTotp(begun.draft, await prompts.ask("The six digits that it shows"), signal);
    terminal.err.write(`the authenticator is changed; ${ended} other sessions ended\n`);
  });
  addOwn(
    user,
    deps,
    "recovery-codes",
    "make new recovery codes; those of before are worth nothing then",
    async (client, _prompts, proof) => {
      showRecoveryCodes(deps, await client.renewRecoveryCodes(proof, signal));
    },
  );
}

/** A change of one's own credentials, for which they are asked first. */
function addOwn(
  user: Command,
  deps: CommandDeps,
  word: string,
  description: string,
  run: (client: SignInClient, prompts: Prompts, proof: OwnProof) => Promise<void>,
): void {
  withConnection(user.command(word))
    .description(description)
    .action(async (options: ConnectionOptions) => {
      const context = resolveContext(options);
      const { createNodeSignInClient } = await import("@skerry/sdk/node");
      const client = createNodeSignInClient({
        ...{ server: context.server, token: tokenOf(context) },
        ...(context.authorityFile === undefined ? {} : { authority: readAuthority(context.authorityFile) }),
      });
      const { openPrompts } = await import("../prompts.ts");
      using prompts = openPrompts(deps);
      const password = await prompts.ask("Current password", "hidden");
      const code = await prompts.ask("Code of the authenticator, or a recovery code");
      await run(client, prompts, { password, code });
    });
}
