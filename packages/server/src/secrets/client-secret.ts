import { SkerryError, sealedMark, type IdentityProviderResource } from "@skerry/model";
import type { Sealer } from "./sealer.ts";

type Spec = IdentityProviderResource["spec"];

/**
 * The one way in for what a client writes into an IdentityProvider: its client's secret is sealed here, before anything is stored.
 * @param before the stored spec, where there is one
 */
export function sealClientSecret(sealer: Sealer, id: string, spec: Spec, before: Spec | undefined): Spec {
  const { clientSecret } = spec;
  if (clientSecret === undefined) return spec;
  const stored = before?.clientSecret;
  if (clientSecret === sealedMark && stored === undefined) {
    const message = `"${sealedMark}" can not stand for a secret that is not there yet`;
    throw new SkerryError("invalid-request", `The client's secret is missing: ${message}.`, {
      errors: [{ path: "/spec/clientSecret", message }],
    });
  }
  // The same secret written again keeps its sealed text, so that it does not count as a change.
  const keep = stored !== undefined && (clientSecret === sealedMark || sealer.holds(stored, ownerOf(id), clientSecret));
  return { ...spec, clientSecret: keep ? stored : sealer.seal(clientSecret, ownerOf(id)) };
}

/** In clear text: for the identity provider alone. */
export function openClientSecret(sealer: Sealer, { metadata, spec }: IdentityProviderResource): string | undefined {
  return spec.clientSecret === undefined ? undefined : sealer.open(spec.clientSecret, ownerOf(metadata.id));
}

function ownerOf(id: string): string {
  return `${id} spec.clientSecret`;
}
