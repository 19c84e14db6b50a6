import type { MoveForecast, OperationResource } from "@skerry/model";
import { formatBytes, formatDuration } from "./duration.ts";
import { tableLines, type Column } from "./table.ts";

type Move = MoveForecast["moves"][number];
type Blocked = MoveForecast["blocked"][number];

const moveColumns: readonly Column<Move>[] = [
  { title: "INSTANCE", cell: ({ project, instance }) => `${project}/${instance}` },
  { title: "FROM", cell: ({ from }) => from },
  { title: "TO", cell: ({ to }) => to },
  { title: "BYTES", align: "right", cell: ({ bytes }) => formatBytes(bytes) },
  {
    title: "DOWNTIME",
    align: "right",
    cell: ({ downtimeMs }) => (downtimeMs === undefined ? "unknown" : formatDuration(downtimeMs)),
  },
];

const blockedColumns: readonly Column<Blocked>[] = [
  { title: "HELD UP", cell: ({ project, instance }) => `${project}/${instance}` },
  { title: "ON", cell: ({ from }) => from },
  { title: "WHY", cell: ({ why }) => why },
];

/** What a plan would move where, and what could not. */
export function moveLines(forecast: MoveForecast | undefined): string[] {
  if (forecast === undefined) return [];
  const { moves, blocked, hidden, notForeseen, bytes, experience } = forecast;
  const downtimes =
    experience === 0 ? "no earlier move to tell downtimes by" : `downtimes by ${experience} earlier moves`;
  return [
    ...(moves.length === 0 ? [] : tableLines(moveColumns, moves)),
    ...(blocked.length === 0 ? [] : tableLines(blockedColumns, blocked)),
    `${moves.length} to move, ${formatBytes(bytes)}; ${blocked.length} held up; ${downtimes}`,
    ...(hidden === 0 ? [] : [`${hidden} that you may not see are not listed`]),
    ...(notForeseen === 0 ? [] : [`${notForeseen} more were not looked at`]),
  ];
}

/** What an operation that moved many came to. */
export interface MoveReport {
  readonly complete: boolean;
  readonly moved: number;
  readonly bytes: number;
  readonly longestDowntimeMs: number;
  readonly failures: number;
  readonly left: readonly { readonly instance: string; readonly why: string }[];
  readonly leftMore?: number;
}

export function moveReportOf({ status }: OperationResource): MoveReport | undefined {
  return status.result === undefined ? undefined : (status.result as unknown as MoveReport);
}

export function moveReportLines({
  moved,
  bytes,
  longestDowntimeMs,
  failures,
  left,
  leftMore = 0,
}: MoveReport): string[] {
  const failed = failures === 0 ? "" : `, ${failures} attempts failed`;
  const downtime = longestDowntimeMs === 0 ? "" : `, longest downtime ${formatDuration(longestDowntimeMs)}`;
  return [
    `${moved} moved, ${formatBytes(bytes)}${downtime}${failed}; ${left.length + leftMore} left`,
    ...left.map(({ instance, why }) => `  ${instance}: ${why}`),
    ...(leftMore === 0 ? [] : [`  and ${leftMore} more`]),
  ];
}
