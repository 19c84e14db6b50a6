import { SkerryError, sealedMark, type ProviderResource } from "@skerry/model";
import type { Sealer } from "./sealer.ts";

type ProviderSpec = ProviderResource["spec"];

/**
 * The one way in for what a client writes into a Provider: its private key is sealed here, before anything is stored.
 * @param before the stored spec, where there is one
 */
export function sealProviderSpec(
  sealer: Sealer,
  providerId: string,
  spec: ProviderSpec,
  before: ProviderSpec | undefined,
): ProviderSpec {
  if (spec.ssh === undefined) return spec;
  const owner = keyOwner(providerId);
  const stored = before?.ssh?.privateKey;
  const { privateKey } = spec.ssh;
  if (privateKey === sealedMark && stored === undefined) {
    throw new SkerryError(
      "invalid-request",
      `The provider has no private key yet, so that "${sealedMark}" can not stand for it.`,
      {
        errors: [{ path: "/spec/ssh/privateKey", message: "must be an OpenSSH private key" }],
      },
    );
  }
  // The same key written again keeps its sealed text, so that it does not count as a change.
  const keep = stored !== undefined && (privateKey === sealedMark || sealer.holds(stored, owner, privateKey));
  return { ...spec, ssh: { ...spec.ssh, privateKey: keep ? stored : sealer.seal(privateKey, owner) } };
}

/** The private key of a stored provider in clear text: for provisioning only. */
export function openProviderKey(sealer: Sealer, provider: ProviderResource): string | undefined {
  const sealed = provider.spec.ssh?.privateKey;
  return sealed === undefined ? undefined : sealer.open(sealed, keyOwner(provider.metadata.id));
}

function keyOwner(providerId: string): string {
  return `${providerId} spec.ssh.privateKey`;
}
