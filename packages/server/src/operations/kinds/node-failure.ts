import { SkerryError, type ErrorCode } from "@skerry/model";

/** What a node says of an object that failed. */
export interface SeenFailure {
  readonly error?: string;
  readonly errorCode?: string;
  readonly remedy?: string;
}

/** What a user can do something about by its code; of the rest the words are enough. */
const toldByCode: readonly ErrorCode[] = ["storage-full"];

/** A node's failure as the error of the operation that waited for it. */
export function nodeFailure({ error, errorCode, remedy }: SeenFailure, otherwise: string): SkerryError {
  const code = toldByCode.find((known) => known === errorCode) ?? "node-driver-failed";
  return new SkerryError(code, error ?? otherwise, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(code === "storage-full" ? { facts: { disk: "node" } } : {}),
  });
}
