import { Type, type Static } from "typebox";
import { Name, optional, strict } from "./schema.ts";

const Bytes = Type.Integer({ minimum: 0 });

/** What moves many instances would do, as things are now: of plans. */
export const MoveForecast = strict(
  {
    moves: Type.Array(
      strict({
        instance: Name,
        project: Name,
        from: Name,
        to: Name,
        bytes: Bytes,
        downtimeMs: optional(
          Type.Integer({ minimum: 0, description: "by the median of earlier moves; absent where there were none" }),
        ),
      }),
      { description: "in the order in which they would begin" },
    ),
    blocked: Type.Array(
      strict({ instance: Name, project: Name, from: Name, code: Type.String(), why: Type.String() }),
      { description: "what would have to wait, or stay" },
    ),
    hidden: Type.Integer({ minimum: 0, description: "instances that whoever asks may not see, in neither list" }),
    notForeseen: Type.Integer({ minimum: 0, description: "beyond the first thousand, which alone are looked at" }),
    bytes: Type.Integer({ minimum: 0, description: "of all moves that are listed" }),
    experience: Type.Integer({ minimum: 0, description: "how many earlier moves downtimes are by" }),
  },
  "What would be moved where, and what could not.",
);
export type MoveForecast = Static<typeof MoveForecast>;
