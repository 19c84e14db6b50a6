import type { ImageResource } from "@skerry/model";
import type { View } from "@skerry/store";
import type { KindIntents } from "../../intents.ts";
import { replaceAfterOf } from "../instance-lease.ts";
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

/**
 * A node fetches the image until its volume is filled, with a copy of its own; after that only an instance that may be replaced
 * needs it, since it would start anew from it.
 */
function refuseWhileNeeded(view: View, image: ImageResource, concerns: (project: string | undefined) => boolean): void {
  const isMeant = (project: string | undefined, reference: string) =>
    concerns(project) && findImage(view, project ?? "", reference)?.metadata.id === image.metadata.id;
  const users: User[] = [];
  for (const { metadata, spec, assignment } of view.scan("Volume")) {
    if (spec.image === undefined || assignment?.filled === true || !isMeant(metadata.project, spec.image)) continue;
    users.push({ what: "volume", project: metadata.project, name: metadata.name, why: "which is being made" });
  }
  for (const instance of view.scan("Instance")) {
    const { metadata, spec } = instance;
    if (replaceAfterOf(instance) === undefined || !isMeant(metadata.project, spec.image)) continue;
    const why = "which would start anew from it on another node";
    users.push({ what: "instance", project: metadata.project, name: metadata.name, why });
  }
  if (users.length === 0) return;
  // Whoever owns a shared image is told of what others have only that there is something.
  const own = users.filter(({ project }) => project === image.metadata.project);
  const others = users.length - own.length;
  const [first] = own.filter(({ what }) => what === "instance");
  throw inUse(
    `The image ${image.metadata.name}`,
    [
      ...own.map(({ what, project, name, why }) => `${what} ${project}/${name}, ${why}`),
      ...(others === 0 ? [] : [others === 1 ? "one of another project" : `${others} of other projects`]),
    ],
    first === undefined
      ? "Wait until they are ready, or delete their instances: skerry instance delete NAME"
      : `Have them kept where they are (onDisconnect: keep), or delete them: skerry instance delete ${first.name} --project ${first.project}`,
  );
}

interface User {
  readonly what: "volume" | "instance";
  readonly project: string | undefined;
  readonly name: string;
  readonly why: string;
}
