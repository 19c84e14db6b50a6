import type { KindName, ResourceOf } from "@skerry/model";
import { timestamp } from "../operations/clock.ts";

/**
 * An object as it is to be stored, with the moment at which its sealed secret was set: what tells that one was changed, where nothing may
 * tell what it is.
 * @param before undefined for what is new
 */
export function withSecretAge<R extends ResourceOf<KindName>>(
  object: R,
  before: ResourceOf<KindName> | undefined,
  nowMs: number,
): R {
  const sealed = sealedOf(object);
  if (sealed === (before === undefined ? undefined : sealedOf(before))) return object;
  const { secretSetAt: _before, ...status } = object.status as { readonly secretSetAt?: string };
  return { ...object, status: sealed === undefined ? status : { ...status, secretSetAt: timestamp(nowMs) } };
}

/** When it was set, of an object that has one. */
export function secretAgeOf(object: ResourceOf<KindName>): string | undefined {
  return object.kind === "Provider" || object.kind === "IdentityProvider" ? object.status.secretSetAt : undefined;
}

/** Where it is, by JSON pointer. */
export function secretPointerOf(kind: KindName): string | undefined {
  if (kind === "Provider") return "/spec/ssh/privateKey";
  return kind === "IdentityProvider" ? "/spec/clientSecret" : undefined;
}

function sealedOf(object: ResourceOf<KindName>): string | undefined {
  if (object.kind === "Provider") return object.spec.ssh?.privateKey;
  return object.kind === "IdentityProvider" ? object.spec.clientSecret : undefined;
}
