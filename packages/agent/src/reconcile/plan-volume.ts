import type { WantedVolume } from "@skerry/protocol";
import type { Action } from "./action.ts";
import { volumeKey } from "./action.ts";
import type { ObjectPlan } from "./plan.ts";
import { isOtherCopy, userOf } from "./situation.ts";
import type { Situation } from "./situation.ts";

/** An import that ended with another digest is begun anew this often. */
const maxMismatches = 3;

/** The next step of one volume. */
export function planVolume(wanted: WantedVolume, situation: Situation): ObjectPlan {
  const { journal, seen } = situation;
  const { id } = wanted;
  const record = journal.volume(id);
  const file = seen.volumes?.get(id);
  if (seen.volumes === undefined) return { obstacle: "the node's disks cannot be listed" };
  const heldEpoch = Math.max(record.epoch, file?.epoch ?? 0);
  if (wanted.epoch < heldEpoch)
    return { refusal: `this node holds epoch ${heldEpoch}; an order of epoch ${wanted.epoch} is out of date` };
  const user = userOf(id, situation);
  const inUse: ObjectPlan = { obstacle: `guest ${user ?? ""} has it open` };

  if (wanted.presence === "absent") {
    if (file === undefined && !record.made) return {};
    return user === undefined ? next(id, { kind: "remove-volume", id }) : inUse;
  }
  if (file?.state !== "ready") return planMissing(wanted, situation);
  if (isOtherCopy(wanted, situation)) {
    if (file.epoch === wanted.epoch && record.opened === true) {
      return {
        refusal: `this node holds another copy at the same epoch ${wanted.epoch}, which a guest has written; it is not replaced`,
      };
    }
    return user === undefined ? next(id, { kind: "import-volume", volume: wanted, replaces: true }) : inUse;
  }
  if (!record.made) return next(id, { kind: "adopt-volume", id });
  if (file.epoch < wanted.epoch) return next(id, { kind: "raise-volume-epoch", id, epoch: wanted.epoch });
  if (wanted.access === "write" && record.sizeMiB < wanted.sizeMiB && user === undefined) {
    return next(id, { kind: "grow-volume", id, sizeMiB: wanted.sizeMiB });
  }
  if (wanted.access === "offer" && record.digest === undefined)
    return user === undefined ? next(id, { kind: "digest-volume", id }) : inUse;
  return {};
}

/** The file is not there, or not whole. */
function planMissing(wanted: WantedVolume, situation: Situation): ObjectPlan {
  const { id, origin } = wanted;
  const record = situation.journal.volume(id);
  const lost: ObjectPlan = { refusal: "its file is no longer on this node; nothing is made in its place" };
  switch (origin.kind) {
    case "existing":
      return lost;
    case "blank":
    case "image":
      return record.made ? lost : next(id, { kind: "create-volume", volume: wanted });
    case "import":
      if (record.ticket === origin.ticket) {
        if (record.made) return lost;
        if (record.mismatches >= maxMismatches) {
          return {
            refusal: `what the source sent did not match its digest ${record.mismatches} times; the import was given up`,
          };
        }
      }
      return next(id, { kind: "import-volume", volume: wanted, replaces: false });
  }
}

function next(id: string, action: Action): ObjectPlan {
  return { next: { object: volumeKey(id), alsoHolds: [], action } };
}
