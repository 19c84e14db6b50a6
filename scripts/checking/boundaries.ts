import { existsSync, globSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { Visitor, parseSync } from "oxc-parser";
import { arrows, onlyDynamic, testOnly, withoutNode } from "./arrows.ts";

/** An import that crosses a boundary, or a package that declares one. */
export type Violation = { readonly file: string; readonly line: number; readonly message: string };

type Import = { readonly specifier: string | undefined; readonly offset: number; readonly dynamic: boolean };

/** Checks every package below `root`/packages, and what bench and scripts import of them. */
export function findViolations(root: string): Violation[] {
  const sources = globSync(["packages/*/{src,test,bench}/**/*.ts", "{bench,scripts}/**/*.ts"], {
    cwd: root,
    exclude: ["scripts/fixtures/**", "**/node_modules/**"],
  });
  const manifests = globSync("packages/*/package.json", { cwd: root });
  return [
    ...sources.toSorted().flatMap((file) => checkSource(root, file)),
    ...manifests.toSorted().flatMap((file) => checkManifest(root, file)),
  ];
}

function checkSource(root: string, file: string): Violation[] {
  const text = readFileSync(join(root, file), "utf8");
  return importsOf(file, text).flatMap((found) => {
    const message = refuse(root, file, found);
    return message === undefined ? [] : [{ file, line: lineAt(text, found.offset), message }];
  });
}

/** Why a file may not have an import, or undefined where it may. */
function refuse(root: string, file: string, found: Import): string | undefined {
  const home = locate(file);
  const { specifier } = found;
  if (specifier === undefined) {
    return home.part === "src"
      ? "import() of a computed name: boundaries can't be checked; name the module"
      : undefined;
  }
  if (specifier.startsWith(".")) return refusePath(root, file, specifier);
  if (specifier.startsWith("node:")) {
    return isPortable(file) ? `${home.name} runs without Node: what it needs of ${specifier} is passed in` : undefined;
  }
  const [scope, target, ...deep] = specifier.split("/");
  if (scope !== "@skerry" || target === undefined) return undefined;
  if (!(target in arrows)) return `@skerry/${target} is in no arrow: add it to scripts/checking/arrows.ts`;
  if (deep.length > 0 && !facesOf(root, target).includes(`./${deep.join("/")}`)) {
    return `deep import: use what @skerry/${target} names in the "exports" of its package.json`;
  }
  if (testOnly.includes(target)) {
    return home.part === "src" ? `only tests may import @skerry/${target}` : undefined;
  }
  if (home.name === undefined || home.name === target) {
    return home.part === "src" ? `a package imports its own files by their path, not as @skerry/${target}` : undefined;
  }
  if (arrows[home.name]?.includes(target) !== true) {
    return `${home.name} may import only ${arrows[home.name]?.join(", ") || "nothing"} of the packages`;
  }
  if (home.part === "src" && !found.dynamic && onlyDynamic[home.name]?.includes(target) === true) {
    return `${home.name} loads ${target} only by import(), in the file of the verb that runs it`;
  }
  return undefined;
}

function refusePath(root: string, file: string, specifier: string): string | undefined {
  const home = locate(file);
  const target = relative(root, resolve(root, file, "..", specifier));
  const there = locate(target);
  if (there.name !== home.name) return `a path into another package: import @skerry/${there.name ?? "..."} instead`;
  if (home.part === "src" && there.part !== "src") return "sources never import tests or benchmarks";
  if (isPortable(file) && !isPortable(target)) return `${home.name} runs without Node, which ${specifier} needs`;
  return undefined;
}

/** Whether a file must run where there is no Node. A package that also serves Node keeps that part in src/node*. */
function isPortable(file: string): boolean {
  const { name, part } = locate(file);
  return part === "src" && withoutNode.includes(name ?? "") && !/^node(\.ts$|$)/.test(file.split(sep)[3] ?? "");
}

/** The import paths that a package opens to others: "." and what else its manifest names. */
function facesOf(root: string, name: string): string[] {
  const file = join(root, "packages", name, "package.json");
  if (!existsSync(file)) return ["."];
  const { exports } = JSON.parse(readFileSync(file, "utf8")) as { exports?: Record<string, string> };
  return Object.keys(exports ?? {});
}

/** The package that a path lies in, and whether in its sources, its tests or elsewhere. */
function locate(file: string): { readonly name: string | undefined; readonly part: string | undefined } {
  const [top, name, part] = file.split(sep);
  return top === "packages" ? { name, part } : { name: undefined, part: undefined };
}

function importsOf(file: string, text: string): Import[] {
  const { module, program, errors } = parseSync(file, text);
  if (errors.length > 0) return []; // The compiler's stage reports it better.
  const fixed = [
    ...module.staticImports.map(({ moduleRequest, start }) => ({ specifier: moduleRequest.value, offset: start })),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest, start }) =>
        moduleRequest === null ? [] : [{ specifier: moduleRequest.value, offset: start }],
      ),
    ),
  ];
  const types: { specifier: string; offset: number }[] = [];
  new Visitor({
    TSImportType: ({ source, start }) => types.push({ specifier: source.value, offset: start }),
  }).visit(program);
  const late = module.dynamicImports.map(({ moduleRequest, start }) => ({
    specifier: /^(["'`])([^"'`$\\]+)\1$/.exec(text.slice(moduleRequest.start, moduleRequest.end))?.[2],
    offset: start,
  }));
  return [
    ...fixed.map((found) => ({ ...found, dynamic: false })),
    ...[...types, ...late].map((found) => ({ ...found, dynamic: true })),
  ];
}

function checkManifest(root: string, file: string): Violation[] {
  const name = locate(file).name ?? "";
  const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as Partial<
    Record<string, Record<string, string>>
  >;
  const allowed = arrows[name];
  const at = (message: string): Violation => ({ file, line: 1, message });
  if (allowed === undefined) return [at(`package ${name} is in no arrow: add it to scripts/checking/arrows.ts`)];
  const refuseAll = (field: string, permitted: readonly string[]): Violation[] =>
    Object.keys(manifest[field] ?? {})
      .filter((dependency) => dependency.startsWith("@skerry/"))
      .map((dependency) => dependency.slice("@skerry/".length))
      .filter((target) => !permitted.includes(target))
      .map((target) =>
        at(`${field}: ${name} may depend only on ${permitted.join(", ") || "nothing"}, not on ${target}`),
      );
  return [...refuseAll("dependencies", allowed), ...refuseAll("devDependencies", [...allowed, ...testOnly])];
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
