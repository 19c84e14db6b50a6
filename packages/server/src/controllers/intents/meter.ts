import type { KindIntents } from "../../intents.ts";
import { conflict } from "../refusal.ts";

/** Meters are written by `Metering` alone, and the API has no way to ask for it. */
export const meterIntents: KindIntents<"Meter"> = {
  initialStatus: { sites: [] },
  create: refuse,
  update: refuse,
  remove: refuse,
  actions: {},
};

function refuse(): never {
  throw conflict("Meters come of what is used.", "See what that is: skerry usage");
}
