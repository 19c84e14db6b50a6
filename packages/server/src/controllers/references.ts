import { SkerryError, type ImageResource, type KindName, type Metadata, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
import type { IntentContext } from "../intents.ts";
import { invalidField, missingReference } from "./refusal.ts";

/** The object that a field names. @throws SkerryError invalid-request at `path` where there is none */
export function referenced<K extends KindName>(
  view: View,
  kind: K,
  name: string,
  path: string,
  project?: string,
): ResourceOf<K> {
  const found = view.get(kind, { name, project });
  if (found === undefined || found.metadata.deletedAt !== undefined) throw missingReference(path, kind, name);
  return found;
}

/** The project that an object lives in. @throws SkerryError not-found, since the path names it */
export function projectOf(view: View, metadata: Metadata): string {
  const { project } = metadata;
  if (project === undefined || view.get("Project", { name: project }) === undefined) {
    throw new SkerryError("not-found", `There is no project ${project ?? "without a name"}.`, {
      remedy: "See what there is: skerry project list",
    });
  }
  return project;
}

/** An image as instances name it: `name` in their own project, or `project/name` where that is shared. Undefined where there is none. */
export function findImage(view: View, project: string, reference: string): ImageResource | undefined {
  const slash = reference.indexOf("/");
  const [home, name] = slash === -1 ? [project, reference] : [reference.slice(0, slash), reference.slice(slash + 1)];
  const image = view.get("Image", { project: home, name });
  return image !== undefined && (home === project || image.spec.shared === true) ? image : undefined;
}

/**
 * An image that an instance can be made from; `sees` tells what may be said of other projects' images, nothing where absent.
 * @throws SkerryError invalid-request, conflict where it has no content yet
 */
export function readyImage(
  view: View,
  project: string,
  reference: string,
  path: string,
  sees: IntentContext["sees"] = () => false,
): ImageResource {
  const image = findImage(view, project, reference);
  if (image === undefined)
    throw imageElsewhere(view, reference, path, sees) ?? missingReference(path, "Image", reference);
  if (image.status.state !== "ready") {
    throw new SkerryError("conflict", `The image ${reference} has no content yet.`, {
      remedy: `Upload it: skerry image upload ${image.metadata.name} --file FILE`,
    });
  }
  return image;
}

/** What keeps an image of another project from being used; undefined where there is none that who asks may know of. */
function imageElsewhere(
  view: View,
  reference: string,
  path: string,
  sees: (resource: ImageResource) => boolean,
): SkerryError | undefined {
  const slash = reference.indexOf("/");
  const name = reference.slice(slash + 1);
  const known = view
    .list("Image")
    .filter(
      ({ metadata }) => metadata.name === name && (slash === -1 || metadata.project === reference.slice(0, slash)),
    )
    .filter(sees);
  const image = known.find(({ spec }) => spec.shared === true) ?? known[0];
  if (image === undefined) return undefined;
  const whole = `${image.metadata.project}/${name}`;
  if (image.spec.shared === true)
    return invalidField(path, `names the image ${name}, which is in another project`, `Name it ${whole}.`);
  return invalidField(
    path,
    `names the image ${whole}, which is not shared with other projects`,
    `Share it: write its kind, name, project and spec (skerry image show ${whole}) into FILE, with \`shared: true\` in the spec, ` +
      `and run skerry apply -f FILE; then name it ${whole}.`,
  );
}

/** @throws SkerryError invalid-request where the image does not fit into what the instance asks for */
export function checkImageFits(image: ImageResource, spec: { memoryMiB: number; diskMiB?: number }): void {
  const { minMemoryMiB = 0, virtualSizeMiB } = image.spec;
  if (spec.memoryMiB < minMemoryMiB) {
    throw invalidField(
      "/spec/memoryMiB",
      `must be at least ${minMemoryMiB}, which the image ${image.metadata.name} needs`,
    );
  }
  if (spec.diskMiB !== undefined && spec.diskMiB < virtualSizeMiB) {
    throw invalidField(
      "/spec/diskMiB",
      `must be at least ${virtualSizeMiB}, the size of the image ${image.metadata.name}`,
    );
  }
}
