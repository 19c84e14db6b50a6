import type { Store, View } from "@skerry/store";
import type { Log } from "../operations/log.ts";
import type { ImageFiles } from "./image-files.ts";

/** Removes content that no image names any more: what is left over now, and from here on with each image that goes. */
export async function cleanImages(store: Store, images: ImageFiles, log: Log): Promise<() => void> {
  await images.sweep(digestsOf(store));
  return store.subscribe((events) => {
    for (const { kind, type, object } of events) {
      if (kind !== "Image" || type !== "deleted" || object.kind !== "Image") continue;
      const { digest } = object.spec;
      // Another image may have the same content, or be about to.
      if (digestsOf(store).has(digest)) continue;
      images
        .remove(digest)
        .catch((error: unknown) => log.warn({ error, digest }, "an image's content could not be removed"));
    }
  });
}

function digestsOf(view: View): ReadonlySet<string> {
  return new Set(view.list("Image").map((image) => image.spec.digest));
}
