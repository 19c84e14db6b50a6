import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { aptProxyAnswers, aptProxyUrl } from "./apt-proxy.ts";
import { readAptSettings, readAptSources, sourceLines, suite } from "./apt.ts";
import { runCommand } from "./command.ts";
import type { Progress } from "./testbed.ts";

/** A qcow2 disk image in the cache. */
export interface GuestImage {
  readonly path: string;
  readonly sizeBytes: number;
  /** "sha256:" and the hex digest of the file. */
  readonly digest: string;
}

export interface ImageRecipe {
  readonly name: string;
  /** Everything that decides what comes out, as text; a change makes a new file. */
  readonly inputs: readonly string[];
  /** Builds `path` inside a scratch directory that it may fill. */
  readonly build: (path: string, scratch: string, report: (detail: string) => void) => Promise<void>;
}

/**
 * Returns the image from the cache or builds it. Safe to run twice at a time: each build has its own scratch directory
 * and the file appears by rename; what a killed build left is removed by the next one.
 */
export async function cachedImage(cacheDir: string, recipe: ImageRecipe, progress: Progress): Promise<GuestImage> {
  const images = `${cacheDir}/images`;
  const key = createHash("sha256")
    .update(JSON.stringify([suite, recipe.inputs]))
    .digest("hex")
    .slice(0, 16);
  const path = `${images}/${recipe.name}-${key}.qcow2`;
  const step = `build image ${recipe.name}`;
  const startedAt = performance.now();
  progress({ step });
  if (!existsSync(path)) {
    await mkdir(images, { recursive: true, mode: 0o755 });
    await removeAbandoned(images);
    const scratch = `${images}/.partial-${process.pid}-${recipe.name}`;
    await rm(scratch, { recursive: true, force: true });
    await mkdir(scratch, { mode: 0o700 });
    try {
      await recipe.build(`${scratch}/disk.qcow2`, scratch, (detail) => progress({ step, detail }));
      await rename(`${scratch}/disk.qcow2`, path);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    for (const name of await readdir(images)) {
      const old = name.startsWith(`${recipe.name}-`) && name.endsWith(".qcow2") && `${images}/${name}` !== path;
      if (old) await rm(`${images}/${name}`);
    }
  }
  const image = { path, sizeBytes: (await stat(path)).size, digest: await digestFile(path) };
  progress({ step, elapsedMs: Math.round(performance.now() - startedAt) });
  return image;
}

/**
 * Runs mmdebstrap into `target` (a directory, or a .tar) from this machine's own Debian sources, through the testbed's
 * apt proxy where it runs. In namespaces of its own: when it is killed nothing of it stays, neither process nor mount.
 */
export async function debootstrap(
  target: string,
  options: readonly string[],
  report: (detail: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const settings = await readAptSettings(signal);
  const throughProxy = await aptProxyAnswers();
  const proxy = throughProxy ? aptProxyUrl : settings.upstreamProxy;
  const aptOptions = [...settings.options, 'APT::Install-Recommends "false";'];
  if (proxy !== undefined) aptOptions.push(`Acquire::http::Proxy "${proxy}";`);
  await runCommand(
    [
      ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["mmdebstrap", "--mode=root", ...options],
      ...aptOptions.map((option) => `--aptopt=${option}`),
      ...[suite, target, ...sourceLines(await readAptSources(signal), throughProxy)],
    ],
    { env: { TMPDIR: dirname(target) }, onLine: (line) => line.startsWith("I: ") && report(line.slice(3)), signal },
  );
}

async function removeAbandoned(images: string): Promise<void> {
  for (const name of await readdir(images)) {
    const pid = /^\.partial-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      await rm(`${images}/${name}`, { recursive: true, force: true });
  }
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}`;
}

/** Text of the files that decide what an image is, to be its inputs. */
export async function textOf(files: readonly URL[]): Promise<readonly string[]> {
  return Promise.all(files.map((file) => readFile(file, "utf8")));
}
