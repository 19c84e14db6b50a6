import type { KindName, ResourceOf, UserResource } from "./kinds.ts";

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
    case "IdentityProvider": {
      const { spec } = resource;
      return spec.clientSecret === undefined ? resource : { ...resource, spec: { ...spec, clientSecret: sealedMark } };
    }
    case "ApiToken": {
      const { secretHash: _kept, ...status } = resource.status;
      return { ...resource, status };
    }
    case "JoinToken": {
      const { secretHash: _kept, ...status } = resource.status;
      return { ...resource, status };
    }
    case "User": {
      const { credentials, signIn: _old, ...status } = resource.status;
      return credentials === undefined ? resource : { ...resource, status: { ...status, signIn: told(credentials) } };
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
    case "Group":
    case "ServiceAccount":
    case "Role":
    case "RoleBinding":
    case "Meter":
    case "DisruptionBudget":
      return resource;
  }
}

/** What there is of somebody's credentials, and nothing of what they are. */
function told({
  password,
  totp,
  recoveryHashes,
  invitation,
}: NonNullable<UserResource["status"]["credentials"]>): NonNullable<UserResource["status"]["signIn"]> {
  return {
    ...(password === undefined ? {} : { passwordSetAt: password.setAt }),
    ...(totp === undefined ? {} : { totpSetAt: totp.setAt }),
    ...(recoveryHashes === undefined ? {} : { recoveryCodesLeft: recoveryHashes.length }),
    ...(invitation === undefined ? {} : { invitedUntil: invitation.expiresAt }),
  };
}
