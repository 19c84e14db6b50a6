import type { Of } from "./kind.ts";
import { Group, Role, RoleBinding, ServiceAccount, User } from "./kinds/access.ts";
import { DisruptionBudget } from "./kinds/disruption-budget.ts";
import { IdentityProvider } from "./kinds/identity-provider.ts";
import { Image } from "./kinds/image.ts";
import { Instance } from "./kinds/instance.ts";
import { Meter } from "./kinds/meter.ts";
import { Network } from "./kinds/network.ts";
import { Node } from "./kinds/node.ts";
import { Operation } from "./kinds/operation.ts";
import { Organisation } from "./kinds/organisation.ts";
import { Project } from "./kinds/project.ts";
import { Provider, Site } from "./kinds/provider.ts";
import { ApiToken, JoinToken } from "./kinds/token.ts";
import { Volume } from "./kinds/volume.ts";
import type { MetadataInput } from "./metadata.ts";
import { partial } from "./schema.ts";
import { parserOf, type Parser } from "./validation.ts";

/** Every resource kind, by name: the one table from which API, SDK, CLI and reference are made. */
export const kinds = {
  Organisation,
  Project,
  Provider,
  Site,
  Node,
  Image,
  Volume,
  Network,
  Instance,
  Operation,
  JoinToken,
  ApiToken,
  User,
  Group,
  ServiceAccount,
  Role,
  RoleBinding,
  IdentityProvider,
  Meter,
  DisruptionBudget,
} as const;

export type KindName = keyof typeof kinds;

/** Written out: a type computed from `kinds` would be computed anew at each use by a generic kind, for seconds each. */
interface Resources {
  readonly Organisation: Of<typeof Organisation>;
  readonly Project: Of<typeof Project>;
  readonly Provider: Of<typeof Provider>;
  readonly Site: Of<typeof Site>;
  readonly Node: Of<typeof Node>;
  readonly Image: Of<typeof Image>;
  readonly Volume: Of<typeof Volume>;
  readonly Network: Of<typeof Network>;
  readonly Instance: Of<typeof Instance>;
  readonly Operation: Of<typeof Operation>;
  readonly JoinToken: Of<typeof JoinToken>;
  readonly ApiToken: Of<typeof ApiToken>;
  readonly User: Of<typeof User>;
  readonly Group: Of<typeof Group>;
  readonly ServiceAccount: Of<typeof ServiceAccount>;
  readonly Role: Of<typeof Role>;
  readonly RoleBinding: Of<typeof RoleBinding>;
  readonly IdentityProvider: Of<typeof IdentityProvider>;
  readonly Meter: Of<typeof Meter>;
  readonly DisruptionBudget: Of<typeof DisruptionBudget>;
}

/** The resource type of a kind: `ResourceOf<"Instance">`. */
export type ResourceOf<K extends KindName> = Resources[K];

export type OrganisationResource = ResourceOf<"Organisation">;
export type ProjectResource = ResourceOf<"Project">;
export type ProviderResource = ResourceOf<"Provider">;
export type SiteResource = ResourceOf<"Site">;
export type NodeResource = ResourceOf<"Node">;
export type ImageResource = ResourceOf<"Image">;
export type VolumeResource = ResourceOf<"Volume">;
export type NetworkResource = ResourceOf<"Network">;
export type InstanceResource = ResourceOf<"Instance">;
export type OperationResource = ResourceOf<"Operation">;
export type JoinTokenResource = ResourceOf<"JoinToken">;
export type ApiTokenResource = ResourceOf<"ApiToken">;
export type UserResource = ResourceOf<"User">;
export type GroupResource = ResourceOf<"Group">;
export type ServiceAccountResource = ResourceOf<"ServiceAccount">;
export type RoleResource = ResourceOf<"Role">;
export type RoleBindingResource = ResourceOf<"RoleBinding">;
export type IdentityProviderResource = ResourceOf<"IdentityProvider">;
export type MeterResource = ResourceOf<"Meter">;
export type DisruptionBudgetResource = ResourceOf<"DisruptionBudget">;

export const kindNames = Object.keys(kinds) as readonly KindName[];

/** Kinds that come of others, and are written by the server alone. */
export type RecordKind = "Operation" | "Meter";

export function isRecord(kind: KindName): kind is RecordKind {
  return kind === "Operation" || kind === "Meter";
}

export function isKindName(word: string): word is KindName {
  return Object.hasOwn(kinds, word);
}

/** A kind as a word of commands and sentences: `join-token`. */
export function kindWord(kind: KindName): string {
  return kind.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

/** What a client writes of a kind. */
export interface InputOf<K extends KindName> {
  readonly kind?: K;
  readonly metadata?: MetadataInput;
  readonly spec: ResourceOf<K>["spec"];
}

/** @throws SkerryError invalid-request that says where the kind's fields are listed */
export function inputParser<K extends KindName>(kind: K, what = kindWord(kind)): Parser<InputOf<K>> {
  return parserOf(kinds[kind].input, what, "invalid-request", remedyOf(kind)) as unknown as Parser<InputOf<K>>;
}

/** What a field manager wishes of one object: as much of an input as it cares for. */
export interface WishOf<K extends KindName> {
  readonly kind?: K;
  readonly metadata?: MetadataInput;
  readonly spec?: Partial<ResourceOf<K>["spec"]>;
}

/** As `inputParser`, where nothing is required: whether what is missing is there already, only the server knows. */
export function wishParser<K extends KindName>(kind: K, what = kindWord(kind)): Parser<WishOf<K>> {
  return parserOf(partial(kinds[kind].input), what, "invalid-request", remedyOf(kind)) as Parser<WishOf<K>>;
}

/** As `inputParser`, of its spec alone. */
export function specParser<K extends KindName>(kind: K): Parser<ResourceOf<K>["spec"]> {
  return parserOf(kinds[kind].spec, kindWord(kind), "invalid-request", remedyOf(kind));
}

function remedyOf(kind: KindName): string {
  return `Correct the named fields: skerry explain ${kindWord(kind)} lists what it takes.`;
}

/** The kind whose path segment is `plural`, or undefined. */
export function kindOfPlural(plural: string): KindName | undefined {
  return kindNames.find((name) => kinds[name].plural === plural);
}
