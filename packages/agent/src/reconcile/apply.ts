import type { WantedState } from "@skerry/protocol";
import type { Drivers } from "../drivers/drivers.ts";
import type { Images } from "../images/image-cache.ts";
import type { Journal } from "../journal/journal.ts";
import type { VolumeSource } from "../data-plane/source.ts";
import type { Action } from "./action.ts";
import { importVolume } from "./import-volume.ts";
import type { ProgressBook } from "./progress.ts";
import { settledMs } from "./situation.ts";

export interface ApplyDeps {
  readonly drivers: Drivers;
  readonly journal: Journal;
  readonly images: Images;
  readonly source: VolumeSource;
  readonly progress: ProgressBook;
  readonly memory: WorkingMemory;
  readonly wanted: () => WantedState | undefined;
  readonly nowMs: () => number;
  readonly random: () => number;
}

/** The reconciler's memory, written by actions. */
export interface WorkingMemory {
  appliedOverlay: string | undefined;
  readonly appliedNetworks: Map<string, string>;
  readonly starts: Map<string, { readonly count: number; readonly lastMs: number }>;
}

const forgottenVolume = {
  made: false,
  opened: undefined,
  ticket: undefined,
  sourceDigest: undefined,
  mismatches: 0,
  digest: undefined,
  sizeMiB: 0,
};

/** Does one step. Where the journal must know first, it is written first; where the world must change first, that is. */
export async function apply(action: Action, deps: ApplyDeps, signal: AbortSignal): Promise<void> {
  const { drivers, journal, memory } = deps;
  const { compute, volume: volumes, network: networks, seed } = drivers;
  switch (action.kind) {
    case "ensure-overlay":
      await networks.ensureOverlay(action.overlay, signal);
      memory.appliedOverlay = action.wish;
      return;
    case "ensure-network":
      await networks.ensureNetwork(action.network, signal);
      memory.appliedNetworks.set(action.network.id, action.wish);
      return;
    case "remove-network":
      memory.appliedNetworks.delete(action.id);
      await networks.removeNetwork(action.id, signal);
      return;
    case "create-volume":
      await createVolume(action, deps, signal).finally(() => deps.progress.forget(action.volume.id));
      return;
    case "import-volume": {
      const peer = (nodeId: string) => deps.wanted()?.peers.find((each) => each.nodeId === nodeId);
      const importing = importVolume(action.volume, { ...deps, volumes, peer }, signal);
      await importing.finally(() => deps.progress.forget(action.volume.id));
      return;
    }
    case "adopt-volume":
      journal.changeVolume(action.id, { made: true });
      return;
    case "raise-volume-epoch":
      await volumes.setEpoch(action.id, action.epoch, signal);
      return;
    case "grow-volume":
      journal.changeVolume(action.id, { digest: undefined });
      await volumes.grow(action.id, action.sizeMiB, signal);
      journal.changeVolume(action.id, { sizeMiB: action.sizeMiB });
      return;
    case "digest-volume":
      journal.changeVolume(action.id, { digest: await volumes.digest(action.id, signal) });
      return;
    case "remove-volume":
      await volumes.remove(action.id, signal);
      journal.changeVolume(action.id, forgottenVolume);
      return;
    case "define-instance":
      await defineInstance(action, deps, signal);
      return;
    case "adopt-instance":
      journal.changeInstance(action.id, { appliedEpoch: action.epoch, appliedGeneration: action.generation });
      return;
    case "start-instance":
      // From here on the file may differ from what its digest was of.
      journal.changeVolume(action.rootVolume, { digest: undefined, opened: true });
      journal.changeInstance(action.id, { stop: undefined, boot: undefined });
      countStart(action.id, memory, deps.nowMs());
      await compute.start(action.id, signal);
      return;
    case "shut-instance-down": {
      const { id, purpose, startedAtMs } = action;
      const askedAtMs = deps.nowMs();
      const { stop } = journal.instance(id);
      const again = stop !== undefined && stop.purpose === purpose && stop.startedAtMs === startedAtMs;
      journal.changeInstance(id, {
        stop: { purpose, startedAtMs, askedAtMs, sinceMs: again ? stop.sinceMs : askedAtMs },
      });
      memory.starts.delete(id);
      await compute.shutdown(id, signal);
      return;
    }
    case "kill-instance":
      memory.starts.delete(action.id);
      await compute.kill(action.id, signal);
      return;
    case "forget-stop":
      journal.changeInstance(action.id, { stop: undefined });
      return;
    case "finish-reboot":
      journal.changeInstance(action.id, { rebootGeneration: action.rebootGeneration, stop: undefined });
      return;
    case "remove-instance":
      memory.starts.delete(action.id);
      await compute.kill(action.id, signal);
      await compute.undefine(action.id, signal);
      await seed?.remove(action.id, signal);
      journal.changeInstance(action.id, {
        rootVolume: undefined,
        networks: [],
        definition: undefined,
        appliedEpoch: 0,
        appliedGeneration: 0,
        stop: undefined,
        boot: undefined,
      });
      return;
  }
}

async function createVolume(
  { volume }: Extract<Action, { kind: "create-volume" }>,
  deps: ApplyDeps,
  signal: AbortSignal,
): Promise<void> {
  const { id, epoch, sizeMiB, origin } = volume;
  if (origin.kind === "image") {
    const { digest, sizeBytes, format } = origin;
    const path = await deps.images.get(
      digest,
      sizeBytes,
      (doneBytes) => deps.progress.set(id, { doneBytes, totalBytes: sizeBytes }),
      signal,
    );
    await deps.drivers.volume.createFromImage(id, epoch, { path, format }, sizeMiB, signal);
  } else {
    await deps.drivers.volume.createBlank(id, epoch, sizeMiB, signal);
  }
  deps.journal.changeVolume(id, { ...forgottenVolume, made: true, sizeMiB });
}

async function defineInstance(
  action: Extract<Action, { kind: "define-instance" }>,
  deps: ApplyDeps,
  signal: AbortSignal,
): Promise<void> {
  const { instance, nics } = action;
  const { id, epoch, generation, vcpus, memoryMiB, rootVolume, devices } = instance;
  const { compute, volume: volumes, seed } = deps.drivers;
  const root = { ...volumes.attachment(rootVolume), readOnly: false };
  const seeds =
    seed === undefined
      ? []
      : [{ path: await seed.build(instance, nics, signal), format: "raw" as const, readOnly: true }];
  // Before the guest can run, the journal knows which disk and networks it holds.
  deps.journal.changeInstance(id, { rootVolume, networks: nics.map((nic) => nic.networkId), definition: undefined });
  const disks = [root, ...seeds];
  const definition = { id, epoch, generation, vcpus, memoryMiB, disks, nics };
  await compute.define(devices === undefined ? definition : { ...definition, devices }, signal);
  deps.journal.changeInstance(id, {
    definition: action.definition,
    appliedEpoch: epoch,
    appliedGeneration: generation,
  });
}

function countStart(id: string, memory: WorkingMemory, nowMs: number): void {
  const before = memory.starts.get(id);
  const soon = before !== undefined && nowMs - before.lastMs <= settledMs;
  memory.starts.set(id, { count: soon ? before.count + 1 : 1, lastMs: nowMs });
}
