import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { prepareAgentArtifacts, type AgentRelease } from "../../../src/agent-artifacts.ts";

const kept = fileURLToPath(new URL("../../../../../.cache/agent-artifacts", import.meta.url));

/** A release of the Node that runs this test, or of another program, and a bundle of the given text. */
export async function releaseOf(bundleText: string, program: string = process.execPath): Promise<AgentRelease> {
  const dir = await mkdtemp(join(tmpdir(), "skerry-bundle-"));
  try {
    const bundlePath = join(dir, "agent.mjs");
    await writeFile(bundlePath, bundleText);
    const options = { cacheDir: kept, bundlePath, runtimes: [{ path: program, version: process.version }] };
    const { releases } = await prepareAgentArtifacts(options, () => undefined, AbortSignal.timeout(60_000));
    const [release] = releases;
    if (release === undefined) throw new Error("no release was made");
    return release;
  } finally {
    await rm(dir, { recursive: true });
  }
}
