import type { KindName, ResourceOf } from "./kinds.ts";

/** What stands in place of a secret; sent back, it keeps the secret that is stored. */
export const sealedMark = "(sealed)";

/**
 * A resource without what nobody may read of it: the one way out for replies, events, plans and the audit log. The same object where it
 * holds no secret.
 */
export function withoutSecrets(resource: ResourceOf<KindName>): ResourceOf<KindName> {
  switch (resource.kind) {
    case "Provider": {
      const { spec } = resource;
      if (spec.ssh === undefined) return resource;
      return { ...resource, spec: { ...spec, ssh: { ...spec.ssh, privateKey: sealedMark } } };
    }
    case "ApiToken": {
      const { secretHash: _kept, ...status } = resource.status;
      return { ...resource, status };
    }
    case "JoinToken": {
      const { secretHash: _kept, ...status } = resource.status;
      return { ...resource, status };
    }
    case "Organisation":
    case "Project":
    case "Site":
    case "Node":
    case "Image":
    case "Network":
    case "Volume":
    case "Instance":
    case "Operation":
    case "User":
    case "Group":
    case "ServiceAccount":
    case "Role":
    case "RoleBinding":
    case "Meter":
      return resource;
  }
}
