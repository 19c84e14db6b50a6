import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "typebox";
import { SkerryError, parserOf, type NodeDevice } from "@skerry/model";
import { writeDurably } from "../../durable-file.ts";
import type { ComputeDriver, Guest, GuestDefinition } from "../compute.ts";
import { checkedId } from "../server-made-id.ts";
import { SimulatedRuns } from "./simulated-runs.ts";
import { SimulatedSerial } from "./simulated-serial.ts";
import { SimulatedService } from "./simulated-service.ts";

/** How simulated guests behave; all of them alike. */
export interface SimulatedComputeOptions {
  /** From the start to the first connection that is accepted. */
  readonly bootMs?: number;
  /** From a shutdown request to the guest's end. */
  readonly shutdownMs?: number;
  /** Guests that don't react to shutdown requests. */
  readonly ignoresShutdown?: boolean;
  /** What the host has to give; a guest can't start with what another one has, or with what is not there. */
  readonly devices?: readonly NodeDevice[];
}

const parseDefinition = parserOf(
  Type.Object({
    id: Type.String(),
    epoch: Type.Integer(),
    generation: Type.Integer(),
    vcpus: Type.Integer(),
    memoryMiB: Type.Integer(),
    disks: Type.Array(
      Type.Object({ path: Type.String(), format: Type.Enum(["qcow2", "raw"]), readOnly: Type.Boolean() }),
    ),
    nics: Type.Array(Type.Object({ bridge: Type.String(), mac: Type.String(), mtu: Type.Integer() })),
    devices: Type.Optional(Type.Array(Type.String())),
  }),
  "definition of the simulated guest",
  "node-driver-failed",
);

/**
 * Guests that exist as records: they run as long as their record says so, whoever looks, and so outlive the agent as real
 * ones do. Their only clock is the wall's. Nothing of the host is used but files below `folder`.
 */
export function openSimulatedCompute(
  folder: string,
  options: SimulatedComputeOptions = {},
  runs = new SimulatedRuns(join(folder, "runs")),
): ComputeDriver {
  const { bootMs = 200, shutdownMs = 100, ignoresShutdown = false, devices: ownDevices = [] } = options;
  const addresses = new Set(ownDevices.flatMap(({ address, functions = [] }) => [address, ...functions]));
  const definitionsFolder = join(folder, "definitions");
  mkdirSync(definitionsFolder, { recursive: true });
  const definitions = loadDefinitions(definitionsFolder);
  const serial = new SimulatedSerial(join(folder, "serial"));
  const service = new SimulatedService();
  const listeners = new Set<() => void>();

  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const running = (id: string) => runs.current(id, Date.now());
  const refused = (detail: string): SkerryError => new SkerryError("node-driver-failed", detail);
  const runningOrRefused = (id: string, what: string) => {
    const run = running(id);
    if (run === undefined) throw refused(`Guest ${id} does not run, so it has no ${what}.`);
    return run;
  };
  const endAt = async (id: string, atMs: number): Promise<void> => {
    await runs.end(id, atMs);
    const settle = (): void => {
      if (running(id) !== undefined) return;
      serial.hangUp(id);
      changed();
    };
    const waitMs = atMs - Date.now();
    if (waitMs <= 0) settle();
    else setTimeout(settle, waitMs + 1).unref();
    changed();
  };
  const seen = (definition: GuestDefinition): Guest => {
    const { id } = definition;
    const run = running(id);
    if (run === undefined) return { id, state: "stopped", epoch: definition.epoch, generation: definition.generation };
    const state = run.stopsAtMs === undefined ? "running" : "stopping";
    return { id, state, epoch: run.epoch, generation: run.generation, startedAtMs: run.startedAtMs, cpuSeconds: 0 };
  };

  return {
    name: "simulated",
    probe: async () => ({ accelerator: "simulated", versions: { simulated: "1" } }),
    list: async () => [...definitions.values()].map(seen),
    async define(guest) {
      const id = checkedId("ins", guest.id);
      if (running(id) !== undefined) throw refused(`Guest ${id} runs; its definition is not replaced.`);
      await writeDurably(join(definitionsFolder, `${id}.json`), JSON.stringify(guest));
      definitions.set(id, guest);
      changed();
    },
    async start(id) {
      const definition = definitions.get(id);
      if (definition === undefined) throw refused(`Guest ${id} is not defined.`);
      if (running(id) !== undefined) return;
      for (const address of definition.devices ?? []) {
        if (!addresses.has(address)) throw refused(`Guest ${id} can't start: the host has no device ${address}.`);
        const holder = [...definitions.values()].find(
          (other) => other.id !== id && other.devices?.includes(address) === true && running(other.id) !== undefined,
        );
        if (holder !== undefined) throw refused(`Guest ${id} can't start: ${holder.id} has the device ${address}.`);
      }
      const { epoch, generation } = definition;
      await runs.begin(id, { epoch, generation, startedAtMs: Date.now() });
      serial.print(id, `[    0.000000] Booting ${id}, epoch ${epoch}\n`);
      changed();
    },
    async shutdown(id) {
      if (running(id)?.stopsAtMs === undefined && !ignoresShutdown) await endAt(id, Date.now() + shutdownMs);
    },
    async kill(id) {
      if (running(id) !== undefined) await endAt(id, Date.now());
    },
    async undefine(id) {
      if (running(id) !== undefined) throw refused(`Guest ${id} runs; it is not forgotten.`);
      if (!definitions.has(id)) return;
      await rm(join(definitionsFolder, `${checkedId("ins", id)}.json`), { force: true });
      definitions.delete(id);
      changed();
    },
    async console(id, signal) {
      runningOrRefused(id, "console");
      return serial.connect(id, signal);
    },
    consoleLog: async (id, how, signal) => serial.log(checkedId("ins", id), how, signal),
    async dial(id, address, port) {
      const { epoch, startedAtMs } = runningOrRefused(id, "open port");
      if (Date.now() < startedAtMs + bootMs)
        throw refused(`Guest ${id} refuses connections to ${address}:${port}; it is booting.`);
      const diskPath = definitions.get(id)?.disks[0]?.path ?? "";
      return service.connect({ id, epoch, startedAtMs, diskPath, exit: () => endAt(id, Date.now()) });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function loadDefinitions(folder: string): Map<string, GuestDefinition> {
  const definitions = new Map<string, GuestDefinition>();
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".json")) continue;
    const definition = parseDefinition(JSON.parse(readFileSync(join(folder, name), "utf8")));
    definitions.set(definition.id, definition);
  }
  return definitions;
}
