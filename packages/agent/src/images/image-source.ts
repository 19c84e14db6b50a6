import type { Readable } from "node:stream";

/** Where images come from. */
export interface ImageSource {
  /** The image's bytes from `offset` on. @throws SkerryError node-disconnected while the server can't be asked */
  open(digest: string, offset: number, signal: AbortSignal): Promise<Readable>;
}
