import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "typebox";
import { oneOf, parserOf, strict } from "@skerry/model";
import { compressFile } from "./artifact-compression.ts";

export const hostArchitectures = ["x86_64", "aarch64"] as const;
export type HostArchitecture = (typeof hostArchitectures)[number];

/** One file of a release as it lies in the cache, compressed. */
export interface ArtifactFile {
  readonly name: "node" | "agent.mjs";
  /** As it is on the host, hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Of what is sent, hex. */
  readonly compressedSha256: string;
  readonly compressedBytes: number;
  readonly compressedPath: string;
}

/** Node and the agent's bundle for one architecture. */
export interface AgentRelease {
  readonly architecture: HostArchitecture;
  /** Names the contents: equal digests, equal files. */
  readonly digest: string;
  readonly nodeVersion: string;
  readonly files: readonly ArtifactFile[];
}

/** What is copied to hosts, made once and shared by all provisionings. */
export interface AgentArtifacts {
  readonly releases: readonly AgentRelease[];
}

export interface NodeRuntime {
  /** A Node 24 that needs nothing but the C library, as nodejs.org and the npm registry have it. */
  readonly path: string;
  readonly version: string;
}

export interface ArtifactOptions {
  readonly cacheDir: string;
  /** The agent as one ES module that needs nothing but Node. */
  readonly bundlePath: string;
  /** Runtimes to send, one per architecture; the one that runs this process where absent. */
  readonly runtimes?: readonly NodeRuntime[];
}

/**
 * Compresses Node and the bundle into the cache. The first call takes seconds of one core; a later one with the same Node
 * takes milliseconds.
 * @param progress `done` and `total` are bytes read
 */
export async function prepareAgentArtifacts(
  options: ArtifactOptions,
  progress: (message: string, done?: number, total?: number) => void,
  signal: AbortSignal,
): Promise<AgentArtifacts> {
  await mkdir(options.cacheDir, { recursive: true });
  const bundle = await prepareFile("agent.mjs", options.bundlePath, options.cacheDir, progress, signal);
  const releases: AgentRelease[] = [];
  for (const runtime of options.runtimes ?? [{ path: process.execPath, version: process.version }]) {
    const node = await prepareFile("node", runtime.path, options.cacheDir, progress, signal);
    const contents = [node.file, bundle.file].map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("");
    releases.push({
      architecture: node.architecture ?? "x86_64",
      digest: createHash("sha256").update(contents).digest("hex").slice(0, 32),
      nodeVersion: runtime.version,
      files: [node.file, bundle.file],
    });
  }
  return { releases };
}

interface PreparedFile {
  readonly file: ArtifactFile;
  readonly architecture?: HostArchitecture;
}

/** What the cache remembers of a source, beside the compressed file. */
const Remembered = strict({
  source: Type.String(),
  sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  sizeBytes: Type.Integer(),
  compressedSha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  compressedBytes: Type.Integer(),
  architecture: Type.Optional(oneOf(hostArchitectures)),
});
const parseRemembered = parserOf(Remembered, "agent artifact's cache entry");

async function prepareFile(
  name: ArtifactFile["name"],
  path: string,
  cacheDir: string,
  progress: (message: string, done?: number, total?: number) => void,
  signal: AbortSignal,
): Promise<PreparedFile> {
  const { size, mtimeMs, ino } = await stat(path);
  // A changed way of compressing must not meet files of the old one.
  const source = `v1 ${path} ${size} ${mtimeMs} ${ino}`;
  const key = createHash("sha256").update(`${name} ${path}`).digest("hex").slice(0, 16);
  const entryPath = join(cacheDir, `${name}-${key}.json`);
  const compressedPath = (sha256: string): string => join(cacheDir, `${name}-${sha256.slice(0, 16)}.deb`);
  const known = await recall(entryPath);
  if (known?.source === source && (await sizeOf(compressedPath(known.compressedSha256))) === known.compressedBytes) {
    return toPrepared(name, known, compressedPath(known.compressedSha256));
  }
  const temporary = join(cacheDir, `${name}-${key}.${process.pid}.partial`);
  try {
    const made = await compressFile(
      { path, target: temporary, isProgram: name === "node" },
      (done) => progress(`compressing ${name}`, done, size),
      signal,
    );
    const remembered = { source, ...made };
    await rename(temporary, compressedPath(made.compressedSha256));
    await writeFile(`${entryPath}.${process.pid}`, JSON.stringify(remembered));
    await rename(`${entryPath}.${process.pid}`, entryPath);
    return toPrepared(name, remembered, compressedPath(made.compressedSha256));
  } finally {
    await rm(temporary, { force: true });
  }
}

function toPrepared(
  name: ArtifactFile["name"],
  {
    sha256,
    sizeBytes,
    compressedSha256,
    compressedBytes,
    architecture,
  }: Omit<ReturnType<typeof parseRemembered>, "source">,
  compressedPath: string,
): PreparedFile {
  const file = { name, sha256, sizeBytes, compressedSha256, compressedBytes, compressedPath };
  return architecture === undefined ? { file } : { file, architecture };
}

async function recall(path: string): Promise<ReturnType<typeof parseRemembered> | undefined> {
  try {
    return parseRemembered(JSON.parse(await readFile(path, "utf8")));
  } catch {
    // Absent, or not ours: made anew, at the cost of some seconds.
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    // Absent: the cache was emptied.
    return undefined;
  }
}
