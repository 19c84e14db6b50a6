import { SkerryError, type ImageResource, type KindName, type Metadata, type ResourceOf } from "@skerry/model";
import type { View } from "@skerry/store";
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

/** An image that an instance can be made from. @throws SkerryError invalid-request, conflict where it has no content yet */
export function readyImage(view: View, project: string, reference: string, path: string): ImageResource {
  const image = findImage(view, project, reference);
  if (image === undefined) throw missingReference(path, "Image", reference);
  if (image.status.state !== "ready") {
    throw new SkerryError("conflict", `The image ${reference} has no content yet.`, {
      remedy: `Upload it: skerry image upload ${image.metadata.name} --file FILE`,
    });
  }
  return image;
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
