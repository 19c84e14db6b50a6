import { isDeepStrictEqual, stripVTControlCharacters } from "node:util";
import type { KindName, ResourceOf } from "@skerry/model";
import type { WatchEvent } from "@skerry/sdk";
import { columnTable } from "./columns.ts";
import { formatMoment } from "./duration.ts";
import type { Column } from "./table.ts";
import { paint, printable, widthOf, type Terminal } from "./terminal.ts";

type AnyResource = ResourceOf<KindName>;

const colours = { created: "green", updated: "yellow", deleted: "red" } as const;
/** What is remembered to tell what changed; beyond it the oldest are told anew. */
const maxRemembered = 10_000;
/** Named, of many fields that changed. */
const maxFields = 3;

/** Events as lines for people, each with what is new since the line before about the same object. */
export class ChangeLines {
  readonly #terminal: Terminal;
  readonly #before = new Map<string, AnyResource>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** `10:29:39  updated  Instance web/first  state pending → running`; undefined where it was only seen again. */
  line({ type, object }: WatchEvent, nowMs: number): string | undefined {
    const { kind, metadata } = object;
    const before = this.#before.get(metadata.id);
    this.#before.delete(metadata.id);
    if (type !== "deleted") this.#before.set(metadata.id, object);
    const [oldest] = this.#before.keys();
    if (this.#before.size > maxRemembered && oldest !== undefined) this.#before.delete(oldest);

    const name = metadata.project === undefined ? metadata.name : `${metadata.project}/${metadata.name}`;
    const what = type === "deleted" ? "" : changeOf(before, object, this.#terminal, nowMs);
    if (what === undefined) return undefined;
    const head = `${formatMoment(metadata.updatedAt, nowMs)}  `;
    const rest = printable(`  ${kind} ${name}${what === "" ? "" : `  ${what}`}`);
    const room = (widthOf(this.#terminal.out) ?? Infinity) - head.length - type.length;
    const shown = rest.length <= room ? rest : `${rest.slice(0, Math.max(0, room - 1))}…`;
    return `${head}${paint(this.#terminal.out, colours[type], type)}${shown}`;
  }
}

/** Said by other words of the same line, or by its being there. */
const unspoken = new Set(["NAME", "PROJECT", "AGE", "SEEN"]);

/** What a list would show otherwise than before; where that is nothing, which fields; undefined where those change all the time. */
function changeOf(
  before: AnyResource | undefined,
  after: AnyResource,
  terminal: Terminal,
  nowMs: number,
): string | undefined {
  // The table's row type is the kind's own; a kind known only at run time loses that.
  const columns = columnTable(terminal, nowMs)[after.kind] as unknown as readonly Column<AnyResource>[];
  const cells = columns
    .filter(({ title }) => !unspoken.has(title))
    .map((column) => {
      const { title } = column;
      const word = title.toUpperCase() === title ? title.toLowerCase() : title;
      const was = before === undefined ? undefined : stripVTControlCharacters(column.cell(before));
      return { word, was, now: stripVTControlCharacters(column.cell(after)) };
    });
  if (before === undefined)
    return cells
      .filter(({ now }) => now !== "-")
      .map(({ word, now }) => `${word} ${now}`)
      .join(", ");
  const changed = cells.filter(({ was, now }) => was !== now);
  if (changed.length > 0) return changed.map(({ word, was, now }) => `${word} ${was} → ${now}`).join(", ");
  if (before.metadata.deletedAt === undefined && after.metadata.deletedAt !== undefined) return "is being deleted";
  const fields = changedFields(before, after, "");
  if (fields.length === 0) return undefined;
  const more = fields.length > maxFields ? ` and ${fields.length - maxFields} more` : "";
  return `${fields.slice(0, maxFields).join(", ")}${more}`;
}

/** They change with every write, or all the time. */
const restless = new Set([
  ...["metadata.revision", "metadata.updatedAt", "metadata.generation"],
  ...["status.seenAt", "status.usedBytes", "status.facts.agentResidentMiB"],
]);

function changedFields(before: unknown, after: unknown, path: string): string[] {
  if (restless.has(path) || isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [path];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => changedFields(before[key], after[key], path === "" ? key : `${path}.${key}`));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
