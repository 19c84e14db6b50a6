import { Type } from "typebox";
import { Digest, oneOf, optional, strict } from "../schema.ts";
import { defineKind } from "../kind.ts";

export const Image = defineKind({
  kind: "Image",
  plural: "images",
  prefix: "img",
  scope: "project",
  spec: strict({
    /** Of the file as uploaded; every copy is verified against it. */
    digest: Digest,
    sizeBytes: Type.Integer({ minimum: 1 }),
    /** Declared, never probed: a file is opened as this and nothing else. */
    format: oneOf(["qcow2", "raw"] as const),
    architecture: oneOf(["x86_64", "aarch64"] as const),
    /** What the guest sees as its disk's size. */
    virtualSizeMiB: Type.Integer({ minimum: 1 }),
    minMemoryMiB: optional(Type.Integer({ minimum: 16 })),
    description: optional(Type.String({ maxLength: 500 })),
    /** Usable from every project as `project/name`. */
    shared: optional(Type.Boolean()),
  }),
  /** `pending` until content with the declared digest was uploaded. */
  status: strict({ state: oneOf(["pending", "ready"] as const) }),
});
