import { join } from "node:path";

/** Absolute path of the checkout; every script works from any working directory. */
export const checkout = join(import.meta.dirname, "..");

/** Path of a development tool that npm installed. */
export function tool(name: string): string {
  return join(checkout, "node_modules", ".bin", name);
}
