import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { WantedPeer, WantedVolume } from "@skerry/protocol";
import type { OfferedVolume, VolumeSource } from "../data-plane/source.ts";
import type { VolumeDriver } from "../drivers/volume.ts";
import type { Journal } from "../journal/journal.ts";
import { pour } from "../pour.ts";
import { retryDelayMs } from "../retry-delay.ts";
import type { ProgressBook } from "./progress.ts";

export interface ImportDeps {
  readonly volumes: VolumeDriver;
  readonly journal: Journal;
  readonly source: VolumeSource;
  readonly progress: ProgressBook;
  readonly peer: (nodeId: string) => WantedPeer | undefined;
  readonly random: () => number;
}

/** A source that sends nothing for this long is asked again. */
const stallMs = 15_000;
/** Attempts in a row that bring nothing, before the import is put off. */
const maxFruitless = 5;

/**
 * Pulls a volume from its holder, from where an earlier attempt got to, and verifies it over what is on disk. The journal
 * learns the ticket before the first byte, so that bytes of another copy are never continued.
 * @throws SkerryError digest-mismatch, and the next attempt begins anew
 */
export async function importVolume(wanted: WantedVolume, deps: ImportDeps, signal: AbortSignal): Promise<void> {
  const { volumes, journal, source } = deps;
  const { id, origin, epoch } = wanted;
  if (origin.kind !== "import") throw new TypeError(`volume ${id} has nothing to be imported from`);
  const { ticket } = origin;
  const peer = deps.peer(origin.fromNode);
  if (peer === undefined) throw new SkerryError("conflict", `Node ${origin.fromNode} is not among the known ones.`);
  const offered = await source.describe(peer, id, ticket, signal);
  const record = journal.volume(id);
  if (record.ticket !== ticket || record.sourceDigest !== offered.digest) {
    // The other copy goes first: a crash after the journal's change would let it pass for this one.
    await volumes.remove(id, signal);
    const mismatches = record.ticket === ticket ? record.mismatches : 0;
    const fresh = { made: false, opened: undefined, digest: undefined, sizeMiB: 0 };
    journal.changeVolume(id, { ...fresh, ticket, sourceDigest: offered.digest, mismatches });
  }
  await pull(wanted, peer, ticket, offered, deps, signal);
  try {
    await volumes.importComplete(id, offered.digest, signal);
  } catch (error) {
    if (error instanceof SkerryError && error.code === "digest-mismatch") {
      journal.changeVolume(id, { mismatches: journal.volume(id).mismatches + 1 });
    }
    throw error;
  }
  journal.changeVolume(id, { epoch: Math.max(epoch, journal.volume(id).epoch), made: true, digest: offered.digest });
}

async function pull(
  { id, epoch }: WantedVolume,
  peer: WantedPeer,
  ticket: string,
  offered: OfferedVolume,
  deps: ImportDeps,
  signal: AbortSignal,
): Promise<void> {
  const { volumes, source, progress } = deps;
  const totalBytes = offered.sizeBytes;
  let fruitless = 0;
  for (;;) {
    let offset = await volumes.importOffset(id, epoch, signal);
    progress.set(id, { doneBytes: offset, totalBytes });
    if (offset === totalBytes) return;
    // More than the source has cannot be its beginning.
    if (offset > totalBytes) offset = 0;
    let arrived = offset;
    const onBytes = (doneBytes: number): void => {
      arrived = doneBytes;
      progress.set(id, { doneBytes, totalBytes });
    };
    try {
      const stream = await source.read(peer, id, ticket, offered, offset, signal);
      const write = (bytes: Readable) => volumes.importWrite(id, offset, bytes, signal);
      await pour(stream, { startBytes: offset, stallMs, onBytes }, write, signal);
    } catch (error) {
      signal.throwIfAborted();
      fruitless = arrived > offset ? 0 : fruitless + 1;
      const final = error instanceof SkerryError && error.code !== "host-unreachable";
      if (final || fruitless >= maxFruitless) throw error;
      await delay(retryDelayMs(fruitless + 1, 250, 5000, deps.random()), undefined, { signal });
    }
  }
}
