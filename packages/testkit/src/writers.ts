/** A stretch of true time in which a guest ran, and so could write to its disk. Milliseconds. */
export interface Writing {
  readonly instanceId: string;
  readonly node: string;
  readonly epoch: number;
  readonly fromMs: number;
  /** Not there while it goes on. */
  untilMs?: number;
  /** When the node last came back from a suspension in that time: its guard needs up to a second then. */
  resumedMs?: number;
}

/** What every guest did, as an onlooker with a true clock has it. */
export class WriterHistory {
  readonly #all: Writing[] = [];
  /** By instance, then by node. */
  readonly #open = new Map<string, Map<string, Writing>>();

  get all(): readonly Writing[] {
    return this.#all;
  }

  /** Says what is so from this moment on; suspended guests don't write. */
  see(instanceId: string, node: string, epoch: number | undefined, nowMs: number, resumed: boolean): void {
    let open = this.#open.get(instanceId);
    if (open === undefined) this.#open.set(instanceId, (open = new Map<string, Writing>()));
    let writing = open.get(node);
    if (writing !== undefined && writing.epoch !== epoch) {
      writing.untilMs = nowMs;
      open.delete(node);
      writing = undefined;
    }
    if (epoch === undefined) return;
    if (writing === undefined) {
      writing = { instanceId, node, epoch, fromMs: nowMs };
      open.set(node, writing);
      this.#all.push(writing);
    }
    if (resumed) writing.resumedMs = nowMs;
  }
}

/** One round of the guard. */
export const guardRoundMs = 1000;

/**
 * Pairs that wrote to the same volume at one time. A guest that was suspended may go on for one round of its node's guard after that,
 * which nothing outside the kernel can prevent; it does so on a disk that nobody will read any more.
 */
export function overlaps(history: readonly Writing[]): readonly string[] {
  const found: string[] = [];
  for (const [index, one] of history.entries()) {
    for (const other of history.slice(index + 1)) {
      if (one.instanceId !== other.instanceId || one.node === other.node) continue;
      const fromMs = Math.max(one.fromMs, other.fromMs);
      const untilMs = Math.min(one.untilMs ?? Infinity, other.untilMs ?? Infinity);
      if (untilMs <= fromMs) continue;
      const excused = [one, other].some(
        ({ fromMs: since, resumedMs, untilMs: end = Infinity }) => resumedMs === since && end - since <= guardRoundMs,
      );
      if (!excused) found.push(`${describe(one)} and ${describe(other)}`);
    }
  }
  return found;
}

function describe({ instanceId, node, epoch, fromMs, untilMs }: Writing): string {
  return `${instanceId} on ${node} at epoch ${epoch} from ${fromMs / 1000} to ${untilMs === undefined ? "now" : untilMs / 1000}`;
}
