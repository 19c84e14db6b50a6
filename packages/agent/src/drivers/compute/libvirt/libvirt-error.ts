import { SkerryError } from "@skerry/model";
import type { XdrReader } from "./xdr.ts";

/** The numbers of `virErrorNumber` that the driver tells apart. */
export const errorNumbers = { noDomain: 42, operationInvalid: 55, noDomainMetadata: 80 } as const;

/** What libvirt answered instead of doing it; its words are the message. */
export class LibvirtError extends SkerryError {
  readonly number: number;

  constructor(number: number, message: string) {
    super("node-driver-failed", `libvirt: ${message}`);
    this.name = "LibvirtError";
    this.number = number;
  }
}

/** Reads `remote_error`; what follows the message is of no use here. */
export function readError(reader: XdrReader): LibvirtError {
  const number = reader.int();
  reader.int();
  const message = reader.optional((rest) => rest.string());
  return new LibvirtError(number, message ?? `error ${number} without a message`);
}
