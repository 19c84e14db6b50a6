import type { KindName, ResourceOf } from "@skerry/model";
import { maskProviderSpec } from "../secrets/provider-key.ts";

/** A resource as it may leave the server: the one way out for replies, events and plans. */
export function represent(resource: ResourceOf<KindName>): ResourceOf<KindName> {
  switch (resource.kind) {
    case "Provider":
      return { ...resource, spec: maskProviderSpec(resource.spec) };
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
      return resource;
  }
}
