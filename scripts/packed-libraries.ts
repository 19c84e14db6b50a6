/*
 * What the launcher loads first: TypeBox lies in 680 files and Fastify in 350, which every start would find, read and link, at a
 * third of a second and 25 MiB. Each is packed when it is first needed, and kept in .cache. Without that all works as well.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { join, parse } from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";

const root = join(import.meta.dirname, "..");

interface Library {
  readonly name: string;
  /** By specifier: the file in the folder of the packed library. They share what they have in common, as they do unpacked. */
  readonly entries: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
}

const libraries: readonly Library[] = [
  {
    name: "typebox",
    entries: { typebox: "index.mjs", "typebox/compile": "compile.mjs" },
    options: { splitting: true, keepNames: true, format: "esm" },
  },
  { name: "fastify", entries: { fastify: "index.cjs" }, options: { format: "cjs" } },
];

interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): unknown;
}

/** The folder of a library once it is packed. */
function packed(library: Library): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(root, "node_modules", library.name, "package.json"), "utf8")) as {
      readonly version: string;
    };
    const folders = join(root, ".cache/libraries");
    const folder = join(folders, `${library.name}-${manifest.version}`);
    if (statSync(folder, { throwIfNoEntry: false }) === undefined) pack(library, folders, folder);
    return folder;
  } catch {
    // A checkout that this user may not write to, or one that is not whole: the library is loaded as it lies there.
    return undefined;
  }
}

function pack({ entries, options }: Library, folders: string, folder: string): void {
  mkdirSync(folders, { recursive: true });
  const work = mkdtempSync(join(folders, "making-"));
  try {
    // The same by which the agent becomes one file.
    const bundler = createRequire(join(root, "packages/agent/package.json"))("esbuild") as Bundler;
    bundler.buildSync({
      absWorkingDir: root,
      entryPoints: Object.entries(entries).map(([input, file]) => ({ in: input, out: parse(file).name })),
      outdir: work,
      outExtension: { ".js": parse(Object.values(entries)[0] ?? "").ext },
      bundle: true,
      platform: "node",
      target: "node24",
      logLevel: "silent",
      ...options,
    });
    // Whoever may run this checkout may read it.
    chmodSync(work, 0o755);
    renameSync(work, folder);
  } finally {
    // There only where it failed, or where another start was first.
    rmSync(work, { recursive: true, force: true });
  }
}

const found = new Map<string, string>();
// The store's thread loads no libraries.
for (const library of isMainThread ? libraries : []) {
  const folder = packed(library);
  if (folder === undefined) continue;
  for (const [specifier, file] of Object.entries(library.entries)) found.set(specifier, join(folder, file));
}
if (found.size > 0) {
  registerHooks({
    resolve(specifier, context, next) {
      const file = found.get(specifier);
      if (file === undefined) return next(specifier, context);
      const format = file.endsWith(".cjs") ? "commonjs" : "module";
      return { url: pathToFileURL(file).href, format, shortCircuit: true };
    },
  });
}
