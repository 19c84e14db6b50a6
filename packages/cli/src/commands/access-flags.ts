import { SkerryError, type KindName } from "@skerry/model";
import { given, plain, readFlagFile, toNumber, type DraftFlags } from "./flag-values.ts";

const description = "--description <text>";
const gather = (value: string, others: readonly string[] = []): readonly string[] => [...others, value];

/** Flags of what says who may do what. */
export const accessFlags = {
  ApiToken: plain(
    "ApiToken",
    (command) =>
      command
        .option("--role <role>", "what it may do; with an owner, at most this of what they may")
        .option("--user <name>", "whose it is: it may do what they may")
        .option("--service-account <project/name>", "the same of a project's program")
        .option("--only-project <name>", "limit it to one project; -p says the same")
        .option("--lifetime <seconds>", "until it expires", toNumber)
        .option("--requests-per-second <number>", "the most that it may ask for", toNumber)
        .option(description, "for people"),
    ({ role, user, serviceAccount, onlyProject, project, lifetime, requestsPerSecond, description }) => ({
      role,
      owner: owner(user, serviceAccount),
      // Taken as it is everywhere else: a limit that was asked for must not be lost.
      project: onlyProject ?? project,
      lifetimeSeconds: lifetime,
      requestsPerSecond,
      description,
    }),
  ),
  User: plain(
    "User",
    (command) =>
      command.option("--display-name <text>", "their name in full").option("--email <address>", "their e-mail address"),
    ({ displayName, email }) => ({ displayName, email }),
  ),
  IdentityProvider: plain(
    "IdentityProvider",
    (command) =>
      command
        .requiredOption("--issuer <url>", "as it calls itself: https://…")
        .requiredOption("--client-id <id>", "of this control plane there")
        .option("--client-secret <file>", "file with the client's secret; a public client where absent")
        .option("--issuer-authority <file>", "PEM of its own authority; the system's authorities where absent")
        .option("--scope <word>", "asked for beside openid; may be given again", gather)
        .option("--name-claim <claim>", "what users are named after; preferred_username where absent")
        .option(
          "--admit <claim=value>",
          "let in only whom a claim has this value of; may be given again, of one claim",
          gather,
        )
        .option("--create-users", "make a user of who comes for the first time")
        .option("--groups-claim <claim>", "what says which groups somebody is in")
        .option(
          "--may-give <value=group>",
          "a group that it may give, for a value of that claim; may be given again",
          gather,
        )
        .option("--max-session <seconds>", "the longest that a session by it lasts", toNumber)
        .option("--display-name <text>", "for people"),
    async ({ clientSecret, issuerAuthority, admit = [], mayGive = [], ...flags }) => ({
      issuer: flags["issuer"],
      clientId: flags["clientId"],
      clientSecret:
        typeof clientSecret === "string" ? (await readFlagFile(clientSecret, "--client-secret")).trim() : undefined,
      authority:
        typeof issuerAuthority === "string" ? await readFlagFile(issuerAuthority, "--issuer-authority") : undefined,
      scopes: flags["scope"],
      nameClaim: flags["nameClaim"],
      admits: admitted(admit as string[]),
      createsUsers: flags["createUsers"],
      groupsClaim: flags["groupsClaim"],
      groups: (mayGive as string[]).length === 0 ? undefined : (mayGive as string[]).map(toGroup),
      maxSessionSeconds: flags["maxSession"],
      displayName: flags["displayName"],
    }),
  ),
  Group: plain(
    "Group",
    (command) =>
      command.option("--member <user>", "a member; may be given again", gather).option(description, "for people"),
    ({ member = [], description }) => ({ members: member, description }),
  ),
  ServiceAccount: plain(
    "ServiceAccount",
    (command) => command.option(description, "for people"),
    ({ description }) => ({ description }),
  ),
  Role: plain(
    "Role",
    (command) => command.requiredOption("--policies <file>", "its Cedar policies").option(description, "for people"),
    async ({ policies, description }) => ({
      policies: await readFlagFile(String(policies), "--policies"),
      description,
    }),
  ),
  RoleBinding: plain(
    "RoleBinding",
    (command) =>
      command
        .requiredOption("--role <role>", "what it gives")
        .option("--user <name>", "to whom; may be given again, as the next two", gather)
        .option("--group <name>", "to a group's members", gather)
        .option("--service-account <project/name>", "to a project's program", gather)
        .option("--only-project <name>", "in one project; -p says the same")
        .option("--organisation <name>", "in an organisation and its projects")
        .option("--provider <name>", "at a provider and its sites"),
    ({ role, user = [], group = [], serviceAccount = [], onlyProject, project, organisation, provider }) => ({
      role,
      subjects: [
        ...(user as string[]).map((name) => ({ kind: "User", name })),
        ...(group as string[]).map((name) => ({ kind: "Group", name })),
        ...(serviceAccount as string[]).map((path) => account(path)),
      ],
      project: onlyProject ?? project,
      organisation,
      provider,
    }),
  ),
} as const satisfies { readonly [K in KindName]?: DraftFlags<K> };

function owner(user: unknown, serviceAccount: unknown) {
  if (user === undefined) return typeof serviceAccount === "string" ? account(serviceAccount) : undefined;
  if (serviceAccount === undefined) return given({ kind: "User", name: user });
  throw new SkerryError("invalid-request", "A token is either a user's or a service account's.", {
    remedy: "Give one of --user and --service-account.",
  });
}

/** @throws SkerryError invalid-request where a word is not NAME=VALUE */
function pair(word: string, flag: string): readonly [string, string] {
  const at = word.lastIndexOf("=");
  if (at > 0 && at < word.length - 1) return [word.slice(0, at), word.slice(at + 1)];
  throw new SkerryError("invalid-request", `${flag}: "${word}" is not two words with = between them.`, {
    remedy: "Write it as CLAIM=VALUE, or VALUE=GROUP.",
  });
}

function admitted(words: readonly string[]) {
  const pairs = words.map((word) => pair(word, "--admit"));
  const [claim, other] = new Set(pairs.map(([name]) => name));
  if (claim === undefined) return undefined;
  if (other === undefined) return { claim, values: pairs.map(([, value]) => value) };
  throw new SkerryError("invalid-request", `--admit names two claims: ${claim} and ${other}.`, {
    remedy: "Name one claim, with as many values as it may have.",
  });
}

function toGroup(word: string) {
  const [value, group] = pair(word, "--may-give");
  return { value, group };
}

function account(path: string) {
  const [project, name, ...rest] = path.split("/");
  if (name !== undefined && rest.length === 0) return { kind: "ServiceAccount", project, name };
  throw new SkerryError("invalid-request", `"${path}" is not a project and a service account.`, {
    remedy: "Write it as PROJECT/NAME.",
  });
}
