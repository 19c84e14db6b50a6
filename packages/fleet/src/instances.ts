import { createHash } from "node:crypto";
import { SkerryError } from "@skerry/model";
import type { Client } from "@skerry/sdk";

/** Requests under way at once. */
const asking = 64;
const sizeBytes = 2 ** 20;
const content = new Uint8Array(sizeBytes);

/** Where the instances of simulated fleets are. */
const project = "simulated";

/** Makes the project and the image that simulated instances are of, where they are missing. */
export async function makeProject(client: Client, signal: AbortSignal): Promise<void> {
  await client.put("Organisation", { name: project }, { spec: {} }, {}, signal);
  await client.put("Project", { name: project }, { spec: { organisation: project } }, {}, signal);
  const key = { project, name: "nothing" };
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  const spec = { digest, sizeBytes, format: "raw", architecture: "x86_64", virtualSizeMiB: 1 } as const;
  const { resource } = await client.put("Image", key, { spec }, {}, signal);
  if (resource.status.state !== "ready") await client.uploadImage(key, new Blob([content]).stream(), sizeBytes, signal);
}

/**
 * Asks for instances, and goes on where one is refused. @param onAnswer told of each, with what refused it
 * @returns how many are there
 */
export async function makeInstances(
  client: Client,
  names: readonly string[],
  onAnswer: (refusal: SkerryError | undefined) => void,
  signal: AbortSignal,
): Promise<number> {
  const spec = { vcpus: 1, memoryMiB: 256, image: "nothing" };
  let next = 0;
  let made = 0;
  const ask = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined && !signal.aborted; name = names[next++]) {
      try {
        await client.put("Instance", { project, name }, { spec }, {}, signal);
        made += 1;
        onAnswer(undefined);
      } catch (error) {
        if (!(error instanceof SkerryError) || signal.aborted) throw error;
        onAnswer(error);
      }
    }
  };
  await Promise.all(Array.from({ length: asking }, ask));
  return made;
}
