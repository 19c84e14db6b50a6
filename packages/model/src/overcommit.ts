import { Type } from "typebox";
import { optional, strict } from "./schema.ts";

/** How many times what nodes have is given out: of a site, for each of its nodes. */
export const Overcommit = strict({
  vcpus: optional(Type.Number({ minimum: 0.25, maximum: 64, description: "1 where absent" })),
  memoryMiB: optional(Type.Number({ minimum: 0.25, maximum: 4, description: "1 where absent" })),
});

/** Round trips from places that were measured, in place of modelled ones. */
export const MeasuredLatencies = Type.Array(
  strict({
    from: Type.String({ maxLength: 100, description: "a known city's name" }),
    milliseconds: Type.Number({ exclusiveMinimum: 0 }),
  }),
  { minItems: 1, maxItems: 64 },
);
