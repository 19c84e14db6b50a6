import { Type, type Static, type TObject } from "typebox";
import { Metadata, MetadataInput } from "./metadata.ts";
import { oneOf, optional, strict } from "./schema.ts";

/** `zone` kinds live once in a control plane; `project` kinds are named within their project. */
export type Scope = "zone" | "project";

export interface KindDefinition<K extends string, S extends TObject, T extends TObject, A extends TObject> {
  readonly kind: K;
  /** As in paths: `/api/v1/{plural}` or `/api/v1/projects/{project}/{plural}`. */
  readonly plural: string;
  /** Of its ids: `ins_01j…`. */
  readonly prefix: string;
  readonly scope: Scope;
  readonly spec: S;
  readonly status: T;
  readonly assignment?: A;
}

/** Completes a kind's definition with the schemas of the whole resource and of what a client may send. */
export function defineKind<
  const K extends string,
  S extends TObject,
  T extends TObject,
  A extends TObject = TObject<{}>,
>(definition: KindDefinition<K, S, T, A>) {
  const resource = strict({
    kind: oneOf([definition.kind] as const),
    metadata: Metadata,
    /** What was asked for: written by clients, kept by the server. */
    spec: definition.spec,
    /** Where the server decided that it lives; only for kinds that live on a node. */
    assignment: optional((definition.assignment ?? strict({})) as A),
    /** What was seen. */
    status: definition.status,
  });
  const input = strict({
    kind: optional(oneOf([definition.kind] as const)),
    metadata: optional(MetadataInput),
    spec: definition.spec,
  });
  return { ...definition, resource, input };
}

export const AnyResource = Type.Object({ kind: Type.String(), metadata: Metadata });
export type Of<D extends { resource: TObject }> = Static<D["resource"]>;
