import { isKindName, kindWord } from "@skerry/model";
import type { Column } from "./table.ts";

/** What is shown of a record; there may be more in it. */
export interface ToldRecord {
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: { readonly name: string };
  readonly from?: string;
  readonly forwardedFor?: string;
  readonly cause: string;
  readonly why?: string;
  readonly undoes?: { readonly revision: number; readonly operation?: string };
  readonly changes: readonly {
    readonly revision: number;
    readonly type: string;
    readonly kind: string;
    readonly project?: string;
    readonly name: string;
  }[];
}

export const auditColumns: readonly Column<ToldRecord>[] = [
  { title: "SEQ", align: "right", cell: ({ seq }) => String(seq) },
  { title: "TIME", cell: ({ timeMs }) => new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z") },
  { title: "ACTOR", cell: ({ actor }) => actor.name },
  { title: "FROM", drop: 1, sparse: true, cell: ({ from, forwardedFor }) => forwardedFor ?? from ?? "-" },
  { title: "CHANGE", cell: changeOf },
  { title: "REVISION", align: "right", drop: 3, cell: ({ changes }) => String(changes.at(-1)?.revision ?? "-") },
  { title: "CAUSE", drop: 0, cell: ({ cause }) => cause },
  { title: "REASON", drop: 2, sparse: true, cell: reasonOf },
];

/** What it undoes, and the asker's own words. */
function reasonOf({ why, undoes }: ToldRecord): string {
  const undone = undoes === undefined ? [] : [`undoes ${undoes.operation ?? undoes.revision}`];
  return [...undone, ...(why === undefined ? [] : [why])].join(": ") || "-";
}

/** `created instance shop/web +2`: the first that is not the operation on it, and how many more. */
function changeOf({ changes, cause }: ToldRecord): string {
  const main = changes.find(({ kind }) => kind !== "Operation") ?? changes[0];
  if (main === undefined) return "-";
  const { type, kind, project, name } = main;
  const action = /:([a-z-]+)$/.exec(cause)?.[1];
  const word = isKindName(kind) ? kindWord(kind) : kind;
  const place = project === undefined ? name : `${project}/${name}`;
  const more = changes.length === 1 ? "" : ` +${changes.length - 1}`;
  return `${action ?? type} ${word} ${place}${more}`;
}
