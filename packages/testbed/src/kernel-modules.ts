import { readdir, readFile } from "node:fs/promises";

/** Files of all uncompressed modules below a directory, by name with every dash written as an underscore. */
export async function findModules(directory: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true })) {
    if (entry.endsWith(".ko")) found.set(moduleName(entry), `${directory}/${entry}`);
  }
  return found;
}

/** The named modules and all they depend on, in an order in which they load; throws when one does not exist. */
export async function loadOrder(
  names: readonly string[],
  available: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const path = available.get(name);
    if (path === undefined) throw new Error(`the kernel package has no module ${name}`);
    for (const needed of moduleDepends(await readFile(path))) await visit(needed);
    order.push(path);
  };
  for (const name of names) await visit(name);
  return order;
}

/** The `depends` line of a module's .modinfo section, a list of zero-terminated "key=value" texts. */
export function moduleDepends(module: Buffer): readonly string[] {
  const at = module.indexOf("\0depends=", 0, "latin1");
  if (at < 0) return [];
  const from = at + "\0depends=".length;
  const text = module.toString("latin1", from, module.indexOf(0, from));
  return text === "" ? [] : text.split(",").map(moduleName);
}

function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf("/") + 1)
    .replace(/\.ko$/, "")
    .replaceAll("-", "_");
}
