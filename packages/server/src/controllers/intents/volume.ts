import type { KindIntents } from "../../intents.ts";
import { conflict, inUse } from "../refusal.ts";
import { store } from "./zone-kind.ts";

/** Volumes are made, grown, moved and deleted with the instance that they belong to. */
export const volumeIntents: KindIntents<"Volume"> = {
  initialStatus: { state: "absent", conditions: [] },
  create() {
    throw conflict(
      "A volume is made with its instance.",
      "Create the instance; spec.diskMiB sets the size of its volume.",
    );
  },
  update(tx, before, after) {
    if (JSON.stringify(before.spec) !== JSON.stringify(after.spec)) {
      throw conflict(
        "A volume is changed through its instance.",
        `Stop the instance ${before.spec.instance ?? ""} and change its spec.diskMiB.`,
      );
    }
    return store(tx, after);
  },
  remove(_tx, volume) {
    const owner = volume.spec.instance ?? volume.metadata.name;
    throw inUse(
      `The volume ${volume.metadata.name}`,
      [`instance ${owner}`],
      "Delete the instance; its volume goes with it.",
    );
  },
  actions: {},
};
