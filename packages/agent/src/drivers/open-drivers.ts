import { join } from "node:path";
import { readPciDevices } from "../pci-devices.ts";
import type { SimulatedComputeOptions } from "./compute/simulated.ts";
import type { Drivers } from "./drivers.ts";

/** Opens the drivers of a kind over the agent's data folder; only their own code is loaded. */
export function openDrivers(
  kind: "libvirt" | "simulated",
  dataFolder: string,
  simulated: SimulatedComputeOptions | undefined,
): Promise<Drivers> {
  return kind === "simulated" ? openSimulated(dataFolder, simulated) : openReal(dataFolder);
}

async function openReal(dataFolder: string): Promise<Drivers> {
  const [{ openLibvirt }, { openLinuxNetworks }, { openDirectoryVolumes }, { openSeedFolder }, { HostGuard }] =
    await Promise.all([
      import("./compute/libvirt/libvirt-guests.ts"),
      import("./network/linux/linux-networks.ts"),
      import("./volume/directory.ts"),
      import("../seed/seed-folder.ts"),
      import("../leases/host-guard.ts"),
    ]);
  const compute = openLibvirt({ folder: join(dataFolder, "guests") });
  return {
    compute,
    volume: await openDirectoryVolumes(join(dataFolder, "volumes")),
    network: openLinuxNetworks({ folder: join(dataFolder, "network") }),
    guard: new HostGuard(),
    devices: () => readPciDevices("/sys"),
    seed: await openSeedFolder(join(dataFolder, "seeds")),
    [Symbol.dispose]: () => compute[Symbol.dispose](),
  };
}

async function openSimulated(dataFolder: string, options: SimulatedComputeOptions | undefined): Promise<Drivers> {
  const folder = join(dataFolder, "simulated");
  const [
    { openSimulatedCompute },
    { SimulatedRuns },
    { SimulatedGuard },
    { openSimulatedNetworks },
    { openSimulatedVolumes },
  ] = await Promise.all([
    import("./compute/simulated.ts"),
    import("./compute/simulated-runs.ts"),
    import("../leases/simulated-guard.ts"),
    import("./network/simulated.ts"),
    import("./volume/simulated.ts"),
  ]);
  const runs = new SimulatedRuns(join(folder, "runs"));
  return {
    compute: openSimulatedCompute(folder, options, runs),
    guard: new SimulatedGuard(runs, join(folder, "leases")),
    volume: await openSimulatedVolumes(join(dataFolder, "volumes")),
    network: await openSimulatedNetworks(folder),
    devices: async () => options?.devices ?? [],
    [Symbol.dispose]: () => undefined,
  };
}
