import { fieldName, type KindName } from "@skerry/model";
import type { Plan, PlannedChange, ResourceKey } from "@skerry/sdk";
import { costLines } from "./cost-lines.ts";
import { tableLines, type Column } from "./table.ts";
import { paint, printable, type Terminal } from "./terminal.ts";

/** One object, by kind and place. */
export interface Named {
  readonly kind: KindName;
  readonly key: ResourceKey;
}

const signs = { created: ["+", "green"], updated: ["~", "yellow"], deleted: ["-", "red"] } as const;
/** Of one value; all of it is in `-o json`. */
const maxValueLength = 160;

type Fields = PlannedChange["diff"];

/** A change with its fields under each other; what goes is told by its name alone. */
export function changeLines(terminal: Terminal, change: PlannedChange, fields: Fields = change.diff): string[] {
  const [sign, colour] = signs[change.type];
  const head = paint(terminal.out, colour, printable(`${sign} ${change.kind} ${placeOf(change)}`));
  if (change.type === "deleted") return [head];
  const names = fields.map(({ path }) => printable(fieldName(path)));
  const width = Math.max(0, ...names.map((name) => name.length));
  return [
    head,
    ...fields.map(({ before, after }, index) => {
      const was = before === undefined ? "" : `${paint(terminal.out, "red", valueText(before))} -> `;
      const is = after === undefined ? "(removed)" : valueText(after);
      return `    ${(names[index] ?? "").padEnd(width)}  ${was}${paint(terminal.out, after === undefined ? "dim" : "green", is)}`;
    }),
  ];
}

type QuotaEffect = Plan["quota"][number];

const monthWords = { thisMonth: "this month", nextMonth: "next month" } as const;

const quotaColumns: readonly Column<QuotaEffect>[] = [
  { title: "QUOTA", cell: ({ kind, name }) => `${kind.toLowerCase()} ${name}` },
  { title: "OF", cell: (effect) => (effect.field === "spend" ? `spend ${monthWords[effect.month]}` : effect.field) },
  { title: "BEFORE", align: "right", cell: ({ before }) => String(before) },
  { title: "AFTER", align: "right", cell: ({ after }) => String(after) },
  {
    ...{ title: "LIMIT", align: "right" },
    cell: (effect) =>
      effect.field === "spend" ? `${effect.limit} ${effect.currency}` : String(effect.limit ?? "none"),
  },
];

/** What a plan means for quotas. */
export function quotaLines(quota: Plan["quota"]): string[] {
  return quota.length === 0 ? [] : tableLines(quotaColumns, quota).map((line) => `  ${line}`);
}

/** What an apply of files comes to, told by what they name; the rest follows from it. */
export interface AppliedPlan {
  /** In the order of the files. */
  readonly changed: readonly PlannedChange[];
  readonly deleted: readonly PlannedChange[];
  readonly unchanged: readonly Named[];
  /** Volumes, operations and the like. */
  readonly others: readonly PlannedChange[];
  readonly quota: Plan["quota"];
  readonly cost: Plan["cost"];
}

/** Sorts a plan by what was asked for. */
export function appliedPlan(
  { changes: plan, quota, cost }: Plan,
  applied: readonly Named[],
  pruned: readonly Named[],
): AppliedPlan {
  const changes = new Map(plan.map((change) => [nameOf(change.kind, change), change]));
  const taken = new Set<PlannedChange>();
  const take = (named: Named, fits: (change: PlannedChange) => boolean): PlannedChange[] => {
    const change = changes.get(nameOf(named.kind, named.key));
    if (change === undefined || !fits(change)) return [];
    taken.add(change);
    return [change];
  };
  const changed = applied.flatMap((one) =>
    take(one, (change) => change.type === "created" || wishedFields(change).length > 0),
  );
  const deleted = pruned.flatMap((one) => take(one, ({ type }) => type === "deleted"));
  const names = new Set(changed.map((change) => nameOf(change.kind, change)));
  return {
    changed,
    deleted,
    unchanged: applied.filter(({ kind, key }) => !names.has(nameOf(kind, key))),
    others: plan.filter((change) => !taken.has(change)),
    quota,
    cost,
  };
}

/** Whether it would do anything that was asked for. */
export function isEmptyPlan({ changed, deleted }: AppliedPlan): boolean {
  return changed.length + deleted.length === 0;
}

export function appliedPlanLines(terminal: Terminal, plan: AppliedPlan): string[] {
  const { changed, deleted, unchanged, others, quota, cost } = plan;
  const created = changed.filter(({ type }) => type === "created").length;
  const totals = [
    `${created} to create`,
    `${changed.length - created} to change`,
    `${deleted.length} to delete`,
    `${unchanged.length} unchanged`,
  ];
  const dim = (text: string): string => paint(terminal.out, "dim", printable(text));
  return [
    ...changed.flatMap((change) => changeLines(terminal, change, shownFields(change))),
    ...deleted.flatMap((change) => changeLines(terminal, change)),
    ...unchanged.map(({ kind, key }) => dim(`= ${kind} ${placeOf(key)}`)),
    ...others.map((change) => dim(`  with it ${signs[change.type][0]} ${otherText(change)}`)),
    ...quotaLines(quota),
    ...costLines(cost),
    `${isEmptyPlan(plan) ? "Nothing would change" : "Plan"}: ${totals.join(", ")}.`,
  ];
}

/** As programs take it. */
export function appliedPlanValue({ changed, deleted, unchanged, others, quota, cost }: AppliedPlan): object {
  const created = changed.filter(({ type }) => type === "created").length;
  return {
    changes: [...changed, ...deleted],
    unchanged: unchanged.map(({ kind, key }) => ({ kind, ...key })),
    others,
    quota,
    cost,
    totals: {
      create: created,
      change: changed.length - created,
      delete: deleted.length,
      unchanged: unchanged.length,
    },
  };
}

function wishedFields({ diff }: PlannedChange): Fields {
  return diff.filter(({ path }) => path.startsWith("/spec/") || path.startsWith("/metadata/labels"));
}

/** What was wished, and where it would run. */
function shownFields(change: PlannedChange): Fields {
  // That a new object has no labels goes without saying.
  const wished = wishedFields(change).filter(({ path }) => path !== "/metadata/labels");
  return [...wished, ...change.diff.filter(({ path }) => path === "/assignment/node")];
}

function otherText(change: PlannedChange): string {
  const type = change.diff.find(({ path }) => path === "/spec/type")?.after;
  return change.kind === "Operation" && typeof type === "string"
    ? `Operation ${type}`
    : `${change.kind} ${placeOf(change)}`;
}

function valueText(value: unknown): string {
  const text = printable(JSON.stringify(value) ?? "");
  return text.length <= maxValueLength ? text : `${text.slice(0, maxValueLength - 1)}…`;
}

function placeOf({ project, name }: ResourceKey): string {
  return project === undefined ? name : `${project}/${name}`;
}

/** Tells objects apart. */
export function nameOf(kind: KindName, key: ResourceKey): string {
  return `${kind} ${placeOf(key)}`;
}
