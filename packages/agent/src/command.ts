import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Readable, Writable } from "node:stream";
import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { SkerryError, computeDrivers } from "@skerry/model";
import { agentVersion } from "./agent-version.ts";
import { readIdentity } from "./identity.ts";
import { joinAgent } from "./join/join-agent.ts";
import { makeJsonLog } from "./log.ts";
import type { AgentConfig } from "./options.ts";
import { defaults, keepConfig, readConfig, readKeptConfig } from "./options.ts";
import { runAgent } from "./run-agent.ts";

export interface AgentCommandIo {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

const usage = `Usage: skerry agent join --server https://HOST:PORT (--token TOKEN | --token-file FILE | --token-stdin) [options]
       skerry agent run [--server URL --token-file FILE] [options]
       skerry agent version

join   makes this host a node: makes its key, and enrols it with a join token
run    runs the node's agent; with a server and a token it joins first where it has not

  --config FILE         JSON with the same settings; flags win over it
  --data-dir DIR        identity, journal, images and disks (default ${defaults.dataFolder})
  --driver NAME         libvirt (default) or simulated
  --data-address A[:P]  where other nodes reach this one
  --data-port PORT      TCP port for other nodes (default ${defaults.dataPort})
  --listen ADDRESS      address to listen on for other nodes (default: all)
  --overlay-port PORT   UDP port of the encrypted overlay (default ${defaults.overlayPort})
  --vcpus N, --memory-mib N, --disk-mib N   offer this much instead of what the host has`;

const flags = {
  server: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
  "token-stdin": { type: "boolean" },
  config: { type: "string" },
  "data-dir": { type: "string" },
  data: { type: "string" },
  driver: { type: "string" },
  "data-address": { type: "string" },
  "data-port": { type: "string" },
  listen: { type: "string" },
  "overlay-port": { type: "string" },
  vcpus: { type: "string" },
  "memory-mib": { type: "string" },
  "disk-mib": { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies ParseArgsConfig["options"];

type Flags = ReturnType<typeof parseFlags>["values"];

/** `skerry agent …`, also the bundle's own command line. @returns the exit code */
export async function agentCommand(argv: readonly string[], io: AgentCommandIo, signal: AbortSignal): Promise<number> {
  try {
    const { values, positionals } = parseFlags(argv);
    const [verb, ...rest] = positionals;
    if (values.help === true || verb === undefined) {
      io.output.write(`${usage}\n`);
      return verb === undefined && values.help !== true ? 2 : 0;
    }
    if (rest.length > 0) throw misuse(`"${rest.join(" ")}" is not understood`);
    if (verb === "version") {
      io.output.write(`${agentVersion}\n`);
      return 0;
    }
    if (verb === "join") await join(values, io, signal);
    else if (verb === "run") await run(values, io, signal);
    else throw misuse(`there is no "agent ${verb}"`);
    return 0;
  } catch (error) {
    const known = error instanceof SkerryError;
    io.errors.write(
      `skerry agent: ${known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    if (known && error.remedy !== undefined) io.errors.write(`  ${error.remedy}\n`);
    return known && error.code === "invalid-request" ? 2 : 1;
  }
}

async function join(values: Flags, io: AgentCommandIo, signal: AbortSignal): Promise<void> {
  const { config, dataFolder } = await readSettings(values);
  const token = await readToken(values, io);
  if (config.serverUrl === undefined || token === undefined) throw misuse("a join needs --server and a token");
  const result = await joinAgent({ dataFolder, server: config.serverUrl, token }, signal);
  if (values.config === undefined) await keepConfig(dataFolder, config);
  io.output.write(
    result.already ? `This host is node ${result.nodeName} already.\n` : `This host is now node ${result.nodeName}.\n`,
  );
}

async function run(values: Flags, io: AgentCommandIo, signal: AbortSignal): Promise<void> {
  const { config, dataFolder } = await readSettings(values);
  const token = await readToken(values, io);
  if (token !== undefined && config.serverUrl !== undefined && (await readIdentity(dataFolder)) === undefined) {
    await joinAgent({ dataFolder, server: config.serverUrl, token }, signal);
  }
  const log = makeJsonLog(
    (line) => io.errors.write(line),
    () => Date.now(),
  );
  const { zoneId: _zone, nodeName: _name, serverUrl: _server, dataFolder: _folder, ...settings } = config;
  await runAgent({ ...settings, dataFolder }, log, signal);
}

/** Flags over the configuration file over what the node was joined with. */
async function readSettings(values: Flags): Promise<{ readonly config: AgentConfig; readonly dataFolder: string }> {
  const file = values.config === undefined ? {} : await readConfig(values.config);
  const dataFolder = values["data-dir"] ?? values.data ?? file.dataFolder ?? defaults.dataFolder;
  const kept = values.config === undefined ? await readKeptConfig(dataFolder) : {};
  return { config: { ...kept, ...file, ...flagged(values), dataFolder }, dataFolder };
}

function flagged(values: Flags): AgentConfig {
  const driver = computeDrivers.find((name) => name === values.driver);
  if (values.driver !== undefined && driver === undefined)
    throw misuse(`--driver is one of ${computeDrivers.join(", ")}`);
  const capacity = {
    ...numbered("vcpus", values.vcpus, 1),
    ...numbered("memoryMiB", values["memory-mib"], 1),
    ...numbered("diskMiB", values["disk-mib"], 1),
  };
  return {
    ...(values.server === undefined ? {} : { serverUrl: values.server }),
    ...(driver === undefined ? {} : { driver }),
    ...(values["data-address"] === undefined ? {} : { dataAddress: values["data-address"] }),
    ...(values.listen === undefined ? {} : { listenAddress: values.listen }),
    ...numbered("dataPort", values["data-port"], 1),
    ...numbered("overlayPort", values["overlay-port"], 1),
    ...(Object.keys(capacity).length === 0 ? {} : { capacityOverride: capacity }),
  };
}

function numbered<K extends string>(
  key: K,
  value: string | undefined,
  least: number,
): { readonly [key in K]?: number } {
  if (value === undefined) return {};
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < least)
    throw misuse(`${JSON.stringify(value)} is not a whole number of at least ${least}`);
  return { [key]: number } as { readonly [key in K]: number };
}

async function readToken(values: Flags, io: AgentCommandIo): Promise<string | undefined> {
  if (values["token-stdin"] === true) return (await text(io.input)).trim();
  if (values["token-file"] !== undefined) return (await readFile(values["token-file"], "utf8")).trim();
  return values.token;
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: true });
  } catch (error) {
    throw misuse(error instanceof Error ? error.message : String(error));
  }
}

function misuse(detail: string): SkerryError {
  return new SkerryError("invalid-request", `${detail}.`, { remedy: "See `skerry agent --help`." });
}
