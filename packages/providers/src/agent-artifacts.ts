export type HostArchitecture = "x86_64" | "aarch64";

/** One file of a release as it lies in the cache, compressed. */
export interface ArtifactFile {
  readonly name: "node" | "agent.mjs";
  /** sha256 of the file itself, hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly compressedPath: string;
  /** sha256 of what is sent, hex. */
  readonly compressedSha256: string;
  readonly compressedBytes: number;
}

/** Node and the agent's bundle for one architecture; the digest names their contents. */
export interface AgentRelease {
  readonly architecture: HostArchitecture;
  readonly digest: string;
  readonly nodeVersion: string;
  readonly files: readonly ArtifactFile[];
}

/** What is copied to hosts, made once and shared by all provisionings. */
export interface AgentArtifacts {
  readonly releases: readonly AgentRelease[];
}

export interface ArtifactOptions {
  readonly cacheDir: string;
  /** The agent as one ES module that needs nothing but Node. */
  readonly bundlePath: string;
}

/** Compresses Node and the bundle into the cache; a second call with the same contents takes milliseconds. */
export async function prepareAgentArtifacts(
  options: ArtifactOptions,
  progress: (message: string, done?: number, total?: number) => void,
  signal: AbortSignal,
): Promise<AgentArtifacts> {
  signal.throwIfAborted();
  progress("preparing");
  throw new Error(`not built yet: ${options.bundlePath}`);
}
