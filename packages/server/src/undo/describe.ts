import { kindNames, type KindName } from "@skerry/model";
import { rulesOf, type ActionAnswer } from "./rules.ts";

/** What becomes of one verb of one kind, in words: for reference pages. */
export interface UndoAnswer {
  readonly kind: KindName;
  readonly verb: string;
  /** How it is taken back; never where absent. */
  readonly way?: string;
  /** When not, what goes for good, what is not as it was; or why never. */
  readonly remarks: readonly string[];
}

const ways = {
  delete: "is deleted",
  restore: "its fields are set back",
  "make again": "is made again",
  "move back": "is moved back; cancelled while it is under way",
} as const;

export function describeUndo(): readonly UndoAnswer[] {
  return kindNames.flatMap((kind) => {
    const { actions, ...rules } = rulesOf(kind);
    return Object.entries<ActionAnswer<KindName>>({ ...rules, ...actions }).map(([verb, answer]) => {
      if (answer.way === "never") return { kind, verb, remarks: [answer.refusal.why] };
      const { but, note, destroys } = answer;
      const lost =
        destroys === undefined
          ? []
          : [`destroys ${destroys}${answer.holds === undefined ? "" : ", where it has that"}`];
      const remarks = [
        ...(but === undefined ? [] : [but]),
        ...lost,
        ...(note === undefined ? [] : [note.replace(/\.$/, "")]),
      ];
      return { kind, verb, way: ways[answer.way], remarks };
    });
  });
}
