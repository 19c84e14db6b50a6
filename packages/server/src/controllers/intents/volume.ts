import type { KindIntents } from "../../intents.ts";
import { ownerOf, reapVolume } from "../reap.ts";
import { conflict, inUse } from "../refusal.ts";
import { orderVolumeRemoval } from "./instance-removal.ts";
import { store } from "./zone-kind.ts";

/** Volumes are made, grown, moved and deleted with the instance that they belong to; one that has lost it is deleted by itself. */
export const volumeIntents: KindIntents<"Volume"> = {
  initialStatus: { state: "absent", conditions: [] },
  create() {
    throw conflict(
      "A volume is made with its instance.",
      "Create the instance, and say how large its disk is to be: skerry instance create NAME --image IMAGE --disk MIB",
    );
  },
  update(tx, before, after) {
    if (JSON.stringify(before.spec) !== JSON.stringify(after.spec)) {
      throw conflict(
        "A volume is changed through its instance.",
        `Stop its instance, then: skerry instance resize ${before.spec.instance ?? "NAME"} --project ${before.metadata.project ?? ""} --disk MIB`,
      );
    }
    return store(tx, after);
  },
  remove(tx, volume, context) {
    const { name, project = "" } = volume.metadata;
    const owner = ownerOf(tx, volume);
    if (owner !== undefined) {
      throw inUse(
        `The volume ${name}`,
        [`instance ${project}/${owner.metadata.name}`],
        `Delete the instance, and its volume goes with it: skerry instance delete ${owner.metadata.name} --project ${project}`,
      );
    }
    const marked = orderVolumeRemoval(tx, volume, context.nowMs);
    reapVolume(tx, marked);
    return { resource: marked };
  },
  actions: {},
};
