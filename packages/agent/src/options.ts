import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Type, type Static } from "typebox";
import { Capacity, SkerryError, computeDrivers, oneOf, optional, parserOf, strict } from "@skerry/model";
import { formatEndpoint, parseEndpoint } from "@skerry/protocol";
import { writeDurably } from "./durable-file.ts";
import type { SimulatedComputeOptions } from "./drivers/compute/simulated.ts";
import { isMissing } from "./file-bytes.ts";
import type { ReconnectLimits } from "./link/absence.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** What an agent's configuration file may hold; flags say the same and win over it. */
export const AgentConfig = strict({
  /** Written by provisioning, for itself. */
  zoneId: optional(Type.String()),
  nodeName: optional(Type.String()),
  serverUrl: optional(Type.String()),
  dataFolder: optional(Type.String()),
  driver: optional(oneOf(computeDrivers)),
  /** Where other nodes reach this one: an address, or address:port. The address of the link to the server where absent. */
  dataAddress: optional(Type.String()),
  dataPort: optional(Port),
  /** Address to listen on for other nodes; all of them where absent. */
  listenAddress: optional(Type.String()),
  /** UDP port of the encrypted overlay. */
  overlayPort: optional(Port),
  capacityOverride: optional(Type.Partial(Capacity)),
  /** How long a guest has to shut down, where the order doesn't say. */
  stopGraceMs: optional(Type.Integer({ minimum: 0 })),
});
export type AgentConfig = Static<typeof AgentConfig>;

/** Everything that `runAgent` needs to know. */
export interface AgentOptions extends Pick<AgentConfig, "driver" | "dataAddress" | "capacityOverride"> {
  readonly dataFolder: string;
  readonly dataPort?: number;
  readonly listenAddress?: string;
  readonly overlayPort?: number;
  readonly stopGraceMs?: number;
  /** How often to look at the hypervisor without being told of a change; 10 s where absent. */
  readonly pollMs?: number;
  /** Waits between attempts to reach the server. */
  readonly reconnect?: ReconnectLimits;
  /** For simulated guests alone. */
  readonly simulated?: SimulatedComputeOptions;
}

export const defaults = {
  dataFolder: "/var/lib/skerry",
  dataPort: 7444,
  listenAddress: "::",
  overlayPort: 51_820,
  stopGraceMs: 30_000,
  pollMs: 10_000,
  reconnect: { quickMs: 200, goodMs: 2000, minMs: 1000, maxMs: 30_000, refusedMs: 120_000 },
} as const;

const parseConfig = parserOf(AgentConfig, "agent's configuration");

/** @throws SkerryError invalid-request with the file's name */
export async function readConfig(path: string): Promise<AgentConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SkerryError(
      "invalid-request",
      `The configuration ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SkerryError("invalid-request", `The configuration ${path} is not JSON.`, { cause: error });
  }
  return parseConfig(value);
}

/** What the node was joined with, so that `run` needs to be told nothing. */
export async function readKeptConfig(dataFolder: string): Promise<AgentConfig> {
  const path = join(dataFolder, "agent.json");
  try {
    return parseConfig(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (isMissing(error)) return {};
    throw error;
  }
}

export async function keepConfig(dataFolder: string, config: AgentConfig): Promise<void> {
  await writeDurably(join(dataFolder, "agent.json"), `${JSON.stringify(config, undefined, 2)}\n`);
}

/** The port to listen on and, where it was given, the endpoint that other nodes are told. */
export function dataPlaneAddresses(options: AgentOptions): {
  readonly port: number;
  readonly host?: string;
  readonly endpoint?: string;
} {
  const { dataAddress, dataPort } = options;
  if (dataAddress === undefined) return { port: dataPort ?? defaults.dataPort };
  const whole = parseEndpoint(dataAddress);
  if (whole !== undefined) return { port: dataPort ?? whole.port, host: whole.host, endpoint: dataAddress };
  const port = dataPort ?? defaults.dataPort;
  const endpoint = formatEndpoint(dataAddress, port);
  if (parseEndpoint(endpoint) === undefined) {
    throw new SkerryError("invalid-request", `${JSON.stringify(dataAddress)} is no address for other nodes.`, {
      remedy: "Give a host name or IP address, with a port if it is not the default: 192.0.2.7:7444.",
    });
  }
  return { port, host: dataAddress, endpoint };
}
