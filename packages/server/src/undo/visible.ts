import type { KindName, ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import { placeOf, type Place } from "../authorisation/place.ts";
import type { Principal } from "../authorisation/principal.ts";
import type { AskedChange } from "./asked-changes.ts";
import { currentOf, isOrWas, sinceMs } from "./identity.ts";

/**
 * Whether a principal may know of a recorded change: who may read the thing as it was, as it was left and as it is now. Names are used
 * again, so that a project, organisation, provider or site that was made after the change is another one than the change was in;
 * only who may read the kind in the whole zone is told of what was there before.
 */
export function seesRecorded(
  view: View,
  principal: Principal,
  { change, operation }: Pick<AskedChange, "change" | "operation">,
  timeMs: number,
): boolean {
  const { kind, before, after } = change;
  const { rights } = principal;
  if (rights.allow("read", kind, {})) return true;
  const now = currentOf(view, change);
  const known = [before, after, operation, now].filter((object) => object !== undefined);
  return known.every((object) => {
    const place = placeOf(object, rights);
    if (!rights.allow("read", object.kind, place)) return false;
    return now !== undefined || isOfThen(view, object, place, timeMs);
  });
}

/** Whether what holds a thing is the same that held it at a time. */
export function isOfThen(view: View, object: ResourceOf<KindName>, place: Place, timeMs: number): boolean {
  const { kind, metadata } = object;
  const is = (holder: "Project" | "Organisation" | "Provider" | "Site", name: string | undefined): boolean => {
    if (name === undefined) return true;
    const found = view.get(holder, { name });
    if (kind === holder && metadata.name === name) return found === undefined || isOrWas(found.metadata, metadata.id);
    return found !== undefined && sinceMs(found.metadata) <= timeMs;
  };
  const site = object.kind === "Node" || object.kind === "JoinToken" ? object.spec.site : undefined;
  return (
    is("Project", place.project) &&
    is("Organisation", place.organisation) &&
    is("Provider", place.provider) &&
    is("Site", site)
  );
}
