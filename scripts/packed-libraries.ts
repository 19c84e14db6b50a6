/*
 * What the launcher loads first: TypeBox lies in 680 files, which every start would find, read and link, at a quarter of a second
 * and 25 MiB. Packed into one when it is first needed, and kept in .cache, it takes a twentieth. Without that all works as well.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";

const root = join(import.meta.dirname, "..");
/** By specifier: the file in the folder of the packed library. Both share what they have in common, as they do unpacked. */
const entries = { typebox: "index.mjs", "typebox/compile": "compile.mjs" };
const specifiers = new Map(Object.entries(entries));

interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): unknown;
}

function packed(): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(root, "node_modules/typebox/package.json"), "utf8")) as {
      readonly version: string;
    };
    const folders = join(root, ".cache/libraries");
    const folder = join(folders, `typebox-${manifest.version}`);
    if (statSync(folder, { throwIfNoEntry: false }) === undefined) pack(folders, folder);
    return folder;
  } catch {
    // A checkout that this user may not write to, or one that is not whole: the library is loaded as it lies there.
    return undefined;
  }
}

function pack(folders: string, folder: string): void {
  mkdirSync(folders, { recursive: true });
  const work = mkdtempSync(join(folders, "making-"));
  try {
    // The same by which the agent becomes one file.
    const bundler = createRequire(join(root, "packages/agent/package.json"))("esbuild") as Bundler;
    bundler.buildSync({
      absWorkingDir: root,
      entryPoints: Object.entries(entries).map(([input, file]) => ({ in: input, out: file.replace(/\.mjs$/, "") })),
      outdir: work,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      keepNames: true,
      platform: "node",
      target: "node24",
      format: "esm",
      logLevel: "silent",
    });
    // Whoever may run this checkout may read it.
    chmodSync(work, 0o755);
    renameSync(work, folder);
  } finally {
    // There only where it failed, or where another start was first.
    rmSync(work, { recursive: true, force: true });
  }
}

// The store's thread loads no libraries.
const folder = isMainThread ? packed() : undefined;
if (folder !== undefined) {
  registerHooks({
    resolve(specifier, context, next) {
      const file = specifiers.get(specifier);
      if (file === undefined) return next(specifier, context);
      return { url: pathToFileURL(join(folder, file)).href, format: "module", shortCircuit: true };
    },
  });
}
