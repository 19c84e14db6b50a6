import { join } from "node:path";
import { SkerryError } from "@skerry/model";
import type { SimulatedComputeOptions } from "./compute/simulated.ts";
import type { Drivers } from "./drivers.ts";

/** Opens the drivers of a kind over the agent's data folder; only their own code is loaded. */
export async function openDrivers(
  kind: "libvirt" | "simulated",
  dataFolder: string,
  simulated: SimulatedComputeOptions | undefined,
): Promise<Drivers> {
  if (kind === "simulated") return await openSimulated(dataFolder, simulated);
  throw new SkerryError("host-unsupported", "This agent was built without the libvirt driver.");
}

async function openSimulated(dataFolder: string, options: SimulatedComputeOptions | undefined): Promise<Drivers> {
  const folder = join(dataFolder, "simulated");
  const [{ openSimulatedCompute }, { openSimulatedNetworks }, { openSimulatedVolumes }] = await Promise.all([
    import("./compute/simulated.ts"),
    import("./network/simulated.ts"),
    import("./volume/simulated.ts"),
  ]);
  return {
    compute: openSimulatedCompute(folder, options),
    volume: await openSimulatedVolumes(join(dataFolder, "volumes")),
    network: await openSimulatedNetworks(folder),
  };
}
