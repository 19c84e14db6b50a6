import { Type, type Static } from "typebox";
import { Id, Labels, Name, Timestamp, oneOf, optional, strict } from "./schema.ts";

const Digest = Type.String({ pattern: "^[A-Za-z0-9_-]{22}$" });

/** A request with an Idempotency-Key that was carried out: what tells a repeated one, by digests. */
export const RequestMark = strict({
  /** Of the token and the key. */
  key: Digest,
  /** Of method, path and body. */
  request: Digest,
  at: Timestamp,
});
export type RequestMark = Static<typeof RequestMark>;

/** How many marks an object other than an operation keeps: more would cost each of its changes. */
export const keptRequestMarks = 8;

/** Who applies (`fieldManager`): a word that says which program or person a wish comes from. It says nothing of what it may do. */
export const FieldManager = Type.String({
  pattern: "^[A-Za-z0-9]([-A-Za-z0-9._]{0,61}[A-Za-z0-9])?$",
  description: "letters, digits, dashes, dots and underscores, beginning and ending with a letter or digit, at most 63",
});

/** Whose fields are that no manager is listed for: of all who write without naming one. Nobody applies by this name. */
export const unnamedManager = "api";

/** How many managers one object's fields may have, `api` not counted. */
export const maxManagers = 16;

/** The fields that a manager has: JSON pointers into the object, in order. */
export const FieldOwnership = strict({
  manager: FieldManager,
  fields: Type.Array(Type.String({ pattern: "^/(spec|metadata/labels)/", maxLength: 512 }), {
    minItems: 1,
    maxItems: 1024,
  }),
});
export type FieldOwnership = Static<typeof FieldOwnership>;

/** How many former ids a thing that was made again keeps. */
export const keptFormerIds = 16;

/** Of what an undo made again: what it was before. */
export const Formerly = strict({
  /** Its ids until then, the last one last. */
  ids: Type.Array(Id, { minItems: 1, maxItems: keptFormerIds }),
  /** Since when there was the first of them. */
  since: Timestamp,
});
export type Formerly = Static<typeof Formerly>;

/** What every resource carries; the server makes all of it but name, project and labels. */
export const Metadata = strict({
  name: Name,
  /** Only for kinds that live in a project. */
  project: optional(Name),
  id: Id,
  /** The revision of the log at which this object last changed; send it back as If-Match. */
  revision: Type.Integer({ minimum: 0 }),
  /** Counts changes of `spec` only, so that a status can say which spec it answers to. */
  generation: Type.Integer({ minimum: 1 }),
  labels: Labels,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  /** Set once deletion was asked for; the object goes when everything it holds is released. */
  deletedAt: optional(Timestamp),
  /** Of its form as it is stored; 1 where absent. */
  schemaVersion: optional(Type.Integer({ minimum: 2 })),
  /** Of operations: the request with an Idempotency-Key that submitted it. Others had their last one here before `requests`. */
  request: optional(RequestMark),
  /** Of all others: the last requests with an Idempotency-Key that made or changed it, of the hour before the newest; that one is last. */
  requests: optional(Type.Array(RequestMark, { minItems: 1, maxItems: keptRequestMarks })),
  /** Whose its fields are, where somebody applied it; a field of several is listed with each. What is not listed is `api`'s alone. */
  managers: optional(Type.Array(FieldOwnership, { minItems: 1, maxItems: maxManagers + 1 })),
  /** The manager whose apply made it: what that one may prune. */
  madeBy: optional(FieldManager),
  /** Only where an undo made it again: it is what it was, by another id. */
  formerly: optional(Formerly),
});
export type Metadata = Static<typeof Metadata>;

/** What a client may write of the metadata. */
export const MetadataInput = strict({ name: optional(Name), project: optional(Name), labels: optional(Labels) });
export type MetadataInput = Static<typeof MetadataInput>;

export const conditionStates = ["true", "false", "unknown"] as const;

/** One aspect of an object's health; `reason` is a fixed CamelCase word, `message` is for people. */
export const Condition = strict({
  type: Type.String({ pattern: "^[A-Z][A-Za-z]+$" }),
  state: oneOf(conditionStates),
  reason: Type.String({ pattern: "^[A-Z][A-Za-z]+$" }),
  message: optional(Type.String({ maxLength: 2048 })),
  changedAt: Timestamp,
});
export type Condition = Static<typeof Condition>;

/** Points at another resource by kind and name (and project). */
export const Reference = strict({ kind: Type.String(), name: Type.String(), project: optional(Name) });
export type Reference = Static<typeof Reference>;

/**
 * Which node runs or holds an object: written by the server only. `epoch` rises with each change of owner;
 * a node acts only on the highest epoch that it has journalled.
 */
export const Assignment = strict({
  node: Name,
  nodeId: Id,
  epoch: Type.Integer({ minimum: 1 }),
  since: Timestamp,
  /** Why here: a sentence from the placement decision. */
  reason: Type.String({ maxLength: 2048 }),
});
export type Assignment = Static<typeof Assignment>;

/**
 * Orders that a node answers by their consequence: `since` is the log's revision just before the order, so that a report
 * to a wanted revision above it knows of the order.
 */
export const OrderRevision = Type.Integer({ minimum: 0 });

/** That an object must go from the node it is assigned to; `done` once the node was seen without it. */
export const Removal = strict({ since: OrderRevision, done: Type.Boolean() });
export type Removal = Static<typeof Removal>;
