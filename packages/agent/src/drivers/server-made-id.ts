import { SkerryError } from "@skerry/model";

/**
 * Gives back an id that is safe as a file or device name. Ids are made by the server, and checked again here, where they
 * become paths, so that no driver has to trust the way they came.
 */
export function checkedId(prefix: string, id: string): string {
  if (/^[0-9a-hjkmnp-tv-z]{26}$/.test(id.slice(prefix.length + 1)) && id.startsWith(`${prefix}_`)) return id;
  throw new SkerryError("invalid-request", `${JSON.stringify(id.slice(0, 60))} is not an id of the form ${prefix}_….`);
}
