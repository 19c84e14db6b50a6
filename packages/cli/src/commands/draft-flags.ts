import { Option } from "commander";
import { providerDrivers, type KindName } from "@skerry/model";
import { labelsOf } from "./labels.ts";
import { accessFlags } from "./access-flags.ts";
import { instanceFlags } from "./instance-flags.ts";
import { given, plain, readFlagFile, toNumber, type DraftFlags } from "./flag-values.ts";
import { imageFlags } from "./image-flags.ts";

const displayName = "--display-name <text>";
const mutations = "--mutations-per-second <number>";

/** Kinds that are not here are made with something else: a volume with its instance, an operation by what it does. */
export const draftFlags: { readonly [K in KindName]?: DraftFlags<K> } = {
  Organisation: plain(
    "Organisation",
    (command) =>
      command.option(displayName, "for people").option(mutations, "how often what is in it may be changed", toNumber),
    ({ displayName, mutationsPerSecond }) => ({ displayName, mutationsPerSecond }),
  ),
  Project: plain(
    "Project",
    (command) =>
      command
        .requiredOption("--organisation <name>", "who owns it")
        .option(displayName, "for people")
        .option(mutations, "how often what is in it may be changed", toNumber),
    ({ organisation, displayName, mutationsPerSecond }) => ({ organisation, displayName, mutationsPerSecond }),
  ),
  Provider: plain(
    "Provider",
    (command) =>
      command
        .requiredOption("--country <code>", "ISO 3166 code, for example ES")
        .addOption(
          new Option("--driver <driver>", "ssh: bare hosts; manual: agents join by themselves")
            .choices(providerDrivers)
            .default("ssh"),
        )
        .option("--jurisdiction <code>", "whose law binds it, where not its country's")
        .option("--sovereignty <level>", "0 to 4", toNumber)
        .option("--ssh-user <user>", "user on its hosts, root or with password-less sudo")
        .option("--ssh-key <file>", "private key for that user")
        .option("--ssh-port <port>", "where not 22", toNumber)
        .option(displayName, "for people"),
    async ({ country, driver, jurisdiction, sovereignty, sshUser, sshKey, sshPort, displayName }) => ({
      country,
      driver,
      jurisdiction,
      sovereigntyLevel: sovereignty,
      displayName,
      ...(sshUser === undefined && sshKey === undefined
        ? {}
        : {
            ssh: given({
              user: sshUser,
              port: sshPort,
              privateKey: typeof sshKey === "string" ? await readFlagFile(sshKey, "--ssh-key") : undefined,
            }),
          }),
    }),
  ),
  Site: plain(
    "Site",
    (command) =>
      command
        .requiredOption("--provider <name>", "who owns it")
        .requiredOption("--country <code>", "ISO 3166 code")
        .option("--city <name>", "for people")
        .requiredOption("--latitude <degrees>", "north is positive", toNumber)
        .requiredOption("--longitude <degrees>", "east is positive", toNumber)
        .option("--tier <tier>", "cloud, in-country-edge, near-edge, far-edge or on-premise", "on-premise")
        .option("--carbon <grams>", "grams of CO2 per kWh", toNumber)
        .option("--price <euros>", "euros per vCPU and hour", toNumber),
    ({ provider, country, city, latitude, longitude, tier, carbon, price }) => ({
      provider,
      country,
      city,
      latitude,
      longitude,
      tier,
      carbonGramsPerKWh: carbon,
      eurosPerVcpuHour: price,
    }),
  ),
  Node: plain(
    "Node",
    (command) =>
      command
        .requiredOption("--site <name>", "where it stands")
        .option("--address <address>", "where SSH reaches it")
        .option("--ssh-port <port>", "where not the provider's", toNumber)
        .option("--host-key <fingerprint>", "pinned host key, SHA256:…"),
    ({ site, address, sshPort, hostKey }) => ({ site, address, sshPort, hostKeyFingerprint: hostKey }),
  ),
  Image: imageFlags,
  Network: plain(
    "Network",
    (command) =>
      command
        .requiredOption("--cidr <cidr>", "for example 10.100.0.0/24")
        .option("--egress", "guests may reach what is outside"),
    ({ cidr, egress }) => ({ cidr, egress }),
  ),
  Instance: instanceFlags,
  JoinToken: plain(
    "JoinToken",
    (command) =>
      command
        .requiredOption("--site <name>", "where the node stands")
        .option("--node <name>", "its name; the host's own where absent")
        .option("--lifetime <seconds>", "how long it may be used", toNumber),
    ({ site, node, lifetime }) => ({ site, node, lifetimeSeconds: lifetime }),
  ),
  DisruptionBudget: plain(
    "DisruptionBudget",
    (command) =>
      command
        .requiredOption("--max-unavailable <number>", "how many may be down at once", toNumber)
        .option(
          "--selector <key=value...>",
          "of the project's instances those with all of these labels; all where absent",
        ),
    ({ maxUnavailable, selector }) => ({
      maxUnavailable,
      ...(Array.isArray(selector) ? { selector: labelsOf(selector) } : {}),
    }),
  ),
  ...accessFlags,
};
