import { readFile, statfs } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { arch, availableParallelism, hostname, release, totalmem } from "node:os";
import { SkerryError } from "@skerry/model";
import type { Capacity, NodeDevice, NodeFacts } from "@skerry/model";
import { agentVersion } from "./agent-version.ts";
import type { Drivers } from "./drivers/drivers.ts";
import type { Log } from "./log.ts";
import { retryDelayMs } from "./retry-delay.ts";

const mebibyte = 1024 * 1024;
/** Kept back for the host itself. */
const reserve = { memoryMiB: 512, memoryShare: 0.05, diskMiB: 1024 };
/** Free space is told in steps, so that a log that grows is no news. */
const diskStepMiB = 256;
const refreshMs = 60_000;

export interface FactOptions {
  readonly dataFolder: string;
  readonly capacityOverride?: Partial<Capacity> | undefined;
}

export interface Endpoints {
  readonly dataEndpoint?: string;
  readonly overlayEndpoint?: string;
}

/** What is known of this host: asked once, its capacity and devices again each minute. */
export class Facts {
  readonly #drivers: Drivers;
  readonly #options: FactOptions;
  readonly #endpoints: () => Endpoints;
  #fixed: Omit<NodeFacts, "capacity" | "devices" | keyof Endpoints> | undefined;
  #capacity: Capacity = { vcpus: 0, memoryMiB: 0, diskMiB: 0 };
  #devices: readonly NodeDevice[] = [];

  constructor(drivers: Drivers, options: FactOptions, endpoints: () => Endpoints) {
    this.#drivers = drivers;
    this.#options = options;
    this.#endpoints = endpoints;
  }

  /** @throws TypeError before `keepRead` has ended */
  current(): NodeFacts {
    if (this.#fixed === undefined) throw new TypeError("the host was not asked yet");
    return {
      ...this.#fixed,
      capacity: this.#capacity,
      ...(this.#devices.length === 0 ? {} : { devices: [...this.#devices] }),
      agentResidentMiB: residentMiB(),
      ...this.#endpoints(),
    };
  }

  /** Reads everything, again and again until it can be had, capacity and devices from then on; ends early when aborted. */
  async keepRead(random: () => number, log: Log, signal: AbortSignal): Promise<void> {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        this.#fixed = await readFixed(this.#drivers, signal);
        await this.#readOffer(log, signal);
        const timer = setInterval(() => void this.#refresh(log, signal), refreshMs);
        signal.addEventListener("abort", () => clearInterval(timer), { once: true });
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ error }, "the host's facts cannot be read yet");
        // An abort ends the wait, and the loop with it.
        await delay(retryDelayMs(failures, 1000, 30_000, random()), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #readOffer(log: Log, signal: AbortSignal): Promise<void> {
    this.#capacity = await readCapacity(this.#options, this.#drivers, signal);
    try {
      this.#devices = await this.#drivers.devices(signal);
    } catch (error) {
      // The host is of use without them.
      this.#devices = [];
      if (!signal.aborted) log.warn({ error }, "the host's devices cannot be read, and none is offered");
    }
  }

  async #refresh(log: Log, signal: AbortSignal): Promise<void> {
    try {
      await this.#readOffer(log, signal);
    } catch (error) {
      if (!signal.aborted) log.warn({ error }, "the host's capacity cannot be read");
    }
  }
}

async function readFixed(
  drivers: Drivers,
  signal: AbortSignal,
): Promise<Omit<NodeFacts, "capacity" | "devices" | keyof Endpoints>> {
  const probe = await drivers.compute.probe(signal);
  return {
    hostname: hostname(),
    operatingSystem: await operatingSystem(),
    kernel: release(),
    architecture: architectureOf(arch()),
    driver: drivers.compute.name,
    accelerator: probe.accelerator,
    agentVersion,
    overlayPublicKey: await drivers.network.publicKey(signal),
    versions: { ...probe.versions, node: process.versions.node },
  };
}

/** What the host offers to instances: its own less a reserve, or what the configuration says. */
async function readCapacity(options: FactOptions, drivers: Drivers, signal: AbortSignal): Promise<Capacity> {
  const { capacityOverride = {}, dataFolder } = options;
  const totalMiB = Math.floor(totalmem() / mebibyte);
  return {
    vcpus: availableParallelism(),
    memoryMiB: Math.max(0, totalMiB - Math.max(reserve.memoryMiB, Math.round(totalMiB * reserve.memoryShare))),
    diskMiB: capacityOverride.diskMiB ?? (await diskMiB(dataFolder, drivers, signal)),
    ...capacityOverride,
  };
}

/** Free space and what our own volumes take: together they are what volumes may take. */
async function diskMiB(folder: string, drivers: Drivers, signal: AbortSignal): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const volumes = await drivers.volume.list(signal);
  const ownBytes = volumes.reduce((sum, volume) => sum + volume.usedBytes, 0);
  const freeMiB = (bavail * bsize + ownBytes) / mebibyte - reserve.diskMiB;
  return Math.max(0, Math.floor(freeMiB / diskStepMiB) * diskStepMiB);
}

/** The agent's own memory, MiB. */
function residentMiB(): number {
  return Math.round((process.memoryUsage.rss() / mebibyte) * 10) / 10;
}

async function operatingSystem(): Promise<string> {
  // Systems without it are told as what they are called by Node.
  const text = await readFile("/etc/os-release", "utf8").catch(() => "");
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1]?.slice(0, 200) ?? process.platform;
}

function architectureOf(name: string): NodeFacts["architecture"] {
  if (name === "x64") return "x86_64";
  if (name === "arm64") return "aarch64";
  throw new SkerryError("host-unsupported", `Processors of the kind ${name} are not supported.`, {
    remedy: "Use a host with x86_64 or aarch64.",
  });
}
