import { SkerryError } from "@skerry/model";
import { isPlainObject } from "./merge-patch.ts";

const maxPaths = 32;
const pathPattern = /^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*){0,7}$/;

interface Tree extends ReadonlyMap<string, Tree> {}

/**
 * Reads `metadata.name,status.state`: keeps these fields of each item and `kind`.
 * @throws SkerryError invalid-request
 */
export function parseFields(text: string): (item: object) => unknown {
  const paths = text.split(",").map((path) => path.trim());
  if (paths.length > maxPaths) {
    throw new SkerryError("invalid-request", `${paths.length} fields are asked for; at most ${maxPaths} are taken.`);
  }
  const root = new Map<string, Tree>([["kind", new Map()]]);
  for (const path of paths) {
    if (!pathPattern.test(path)) {
      throw new SkerryError("invalid-request", `"${path.slice(0, 100)}" is not a field.`, {
        remedy: "Write fields as metadata.name,status.state: dots between the levels, commas between the fields.",
      });
    }
    let tree: Map<string, Tree> = root;
    for (const key of path.split(".")) {
      const inner = new Map(tree.get(key));
      tree.set(key, inner);
      tree = inner;
    }
  }
  return (item) => pick(item, root);
}

/** A leaf of the tree keeps the whole value. */
function pick(value: unknown, tree: Tree): unknown {
  if (tree.size === 0 || !isPlainObject(value)) return value;
  const kept = [...tree]
    .filter(([key]) => Object.hasOwn(value, key))
    .map(([key, inner]) => [key, pick(value[key], inner)] as const);
  return Object.fromEntries(kept);
}
