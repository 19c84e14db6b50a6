import { PassThrough, Readable, finished } from "node:stream";
import { SkerryError, type ImageResource } from "@skerry/model";
import type { Key, Transaction, View } from "@skerry/store";
import { stillHolds } from "../authorisation/authentication.ts";
import { noteOf } from "./audit-note.ts";
import { principalKey, type RequestLimitOptions } from "../limits/request-limits.ts";
import type { ApiDeps } from "./deps.ts";
import { rehearsed } from "./mutations.ts";
import { represent } from "./representation.ts";
import { entityTag } from "./revision-match.ts";
import { DryRun, keyOf } from "./resource-routes.ts";
import { schemaRef, type Call, type GuardedRoute, type Reply } from "./route.ts";
import { notFound } from "../authorisation/authorise.ts";

const maxUploads = 64;
type Pace = RequestLimitOptions["slowestUpload"];

/** `PUT …/images/{name}/content`: the file that the image declared; the image is ready once it is stored durably. */
export function imageUploadRoute(deps: ApiDeps): GuardedRoute {
  let uploads = 0;
  return {
    method: "PUT",
    path: "/api/v1/projects/{project}/images/{name}/content",
    operationId: "uploadImageContent",
    summary: "Uploads an image's file; its size and digest are verified against the image's spec while it is written.",
    tag: "Image",
    query: DryRun,
    access: { verb: "upload", kind: "Image", place: (params) => ({ project: params.project }) },
    requestHeaders: ["X-Skerry-Reason"],
    body: { contentType: "application/octet-stream", schema: { type: "string", format: "binary" } },
    replies: { 200: { description: "The image, ready; with dryRun: the plan.", schema: schemaRef("ImageOrPlan") } },
    handle: async (call) => {
      if (call.query.dryRun === "true") return rehearseUpload(deps, call);
      if (uploads >= maxUploads) {
        throw new SkerryError("too-many-requests", `${uploads} uploads are under way.`, {
          remedy: "Try again when one has ended.",
        });
      }
      using _place = deps.limits.uploads.enter(principalKey(call.principal));
      uploads += 1;
      try {
        return await upload(deps, call);
      } finally {
        uploads -= 1;
      }
    },
  };
}

/** What an upload would come to, its content taken for the declared one: nothing of the body is read. */
function rehearseUpload(deps: ApiDeps, call: Call): Reply {
  const image = declaredImage(deps.store, call);
  const { result } = deps.store.rehearse((tx) => rehearsed(deps, tx, call.principal, (seen) => ready(seen, image)));
  return { status: 200, body: result };
}

/** The image that content is for. @throws SkerryError where the content can't be what it declares */
function declaredImage(view: View, { params, headers }: Call): ImageResource {
  const image = find(view, keyOf("Image", params));
  const declared = headers["content-length"];
  if (declared !== undefined && Number(declared) !== image.spec.sizeBytes) {
    throw new SkerryError(
      "digest-mismatch",
      `The image declares ${image.spec.sizeBytes} bytes, and the request has ${declared}.`,
      {
        remedy: "Upload the file that the image was declared from, whole.",
      },
    );
  }
  return image;
}

function ready(tx: Transaction, image: ImageResource): { readonly resource: ImageResource } {
  return { resource: image.status.state === "ready" ? image : tx.put({ ...image, status: { state: "ready" } }) };
}

async function upload(deps: ApiDeps, call: Call): Promise<Reply> {
  const key = keyOf("Image", call.params);
  const image = declaredImage(deps.store, call);
  const note = noteOf(call);
  if (!(call.body instanceof Readable)) throw new SkerryError("invalid-request", "The request has no content.");
  using held = deps.tokens.hold(call.principal);
  const signal = AbortSignal.any([held.signal, deps.stopping]);
  await deps.images.store(image.spec, watched(call.body, deps.limits.options.slowestUpload, signal), signal);
  const { result } = await deps.store.transact((tx) => {
    if (!stillHolds(tx, deps.rights, call.principal, deps.clock.nowMs())) {
      throw new SkerryError("unauthenticated", "The token has expired, was deleted, or has other rights now.");
    }
    const current = find(tx, key);
    if (current.metadata.id !== image.metadata.id || current.spec.digest !== image.spec.digest) {
      throw new SkerryError(
        "conflict",
        `The image ${image.metadata.name} was made anew while its content was uploaded.`,
        {
          remedy: "Upload the content again.",
        },
      );
    }
    return ready(tx, current).resource;
  }, note);
  return { status: 200, headers: { etag: entityTag(result) }, body: represent(result) };
}

function find(view: View, key: Key): ImageResource {
  const image = view.get("Image", key);
  if (image === undefined || image.metadata.deletedAt !== undefined) throw notFound("Image", key);
  return image;
}

/**
 * The request's bytes, until the signal aborts, the client goes away or too little comes for too long. The request itself is left as it is, so
 * that it can still be answered.
 */
function watched(source: Readable, slowest: Pace, signal: AbortSignal): Readable {
  const bytes = new PassThrough();
  const end = (error: Error): void => {
    source.unpipe(bytes);
    bytes.destroy(error);
  };
  let since = 0;
  const count = (chunk: Buffer): void => void (since += chunk.length);
  const timer = setInterval(() => {
    if (since < slowest.bytes) end(tooSlow(slowest));
    since = 0;
  }, slowest.inMs);
  const stop = (): void => end(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  const unwatch = finished(source, { writable: false }, (error) => {
    if (error) end(error);
  });
  bytes.once("close", () => {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
    source.off("data", count);
    unwatch();
  });
  source.on("data", count);
  source.pipe(bytes);
  if (signal.aborted) stop();
  return bytes;
}

function tooSlow({ bytes, inMs }: Pace): SkerryError {
  return new SkerryError("deadline-exceeded", `The upload brought less than ${bytes} bytes in ${inMs / 1000} seconds.`);
}
