import type { ImageResource } from "@skerry/model";
import type { View } from "@skerry/store";
import type { KindIntents } from "../../intents.ts";
import { findImage, projectOf } from "../references.ts";
import { inUse, refuseChanges } from "../refusal.ts";
import { forget, store } from "./zone-kind.ts";

export const imageIntents: KindIntents<"Image"> = {
  initialStatus: { state: "pending" },
  create(tx, draft) {
    projectOf(tx, draft.metadata);
    return store(tx, draft);
  },
  update(tx, before, after) {
    refuseChanges(
      before.spec,
      after.spec,
      ["digest", "sizeBytes", "format", "architecture", "virtualSizeMiB"],
      "an image is the content that its digest names",
    );
    if (before.spec.shared === true && after.spec.shared !== true)
      refuseWhileNeeded(tx, before, (project) => project !== before.metadata.project);
    return store(tx, after);
  },
  remove(tx, image, context) {
    refuseWhileNeeded(tx, image, () => true);
    return forget(tx, image, context);
  },
  actions: {},
};

/** A node fetches the image until its volume is filled; after that nothing needs it any more. */
function refuseWhileNeeded(view: View, image: ImageResource, concerns: (project: string | undefined) => boolean): void {
  const users = view.list("Volume").filter(({ metadata, spec, assignment }) => {
    if (spec.image === undefined || assignment?.filled === true || !concerns(metadata.project)) return false;
    return findImage(view, metadata.project ?? "", spec.image)?.metadata.id === image.metadata.id;
  });
  if (users.length === 0) return;
  // Whoever owns a shared image is told of others' volumes only that there are some.
  const own = users.filter(({ metadata }) => metadata.project === image.metadata.project);
  const others = users.length - own.length;
  throw inUse(
    `The image ${image.metadata.name}`,
    [
      ...own.map(({ metadata }) => `volume ${metadata.project}/${metadata.name}, which is being made`),
      ...(others === 0 ? [] : [others === 1 ? "a volume of another project" : `${others} volumes of other projects`]),
    ],
    "Wait until they are ready, or delete their instances.",
  );
}
