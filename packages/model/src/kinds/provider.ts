import { Type, type Static } from "typebox";
import { CountryCode, Name, Schedulable, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { Condition } from "../metadata.ts";
import { MeasuredLatencies, Overcommit } from "../overcommit.ts";
import { defineKind } from "../kind.ts";
import { Month } from "./meter.ts";

export const providerDrivers = ["ssh", "manual"] as const;

/** How sovereign a provider is, from 0 (outside European control) to 4 (owned, run and legally bound in Europe only). */
export const SovereigntyLevel = Type.Integer({ minimum: 0, maximum: 4 });

/** How the bare hosts of an `ssh` provider are reached; a host's own address is in its Node. */
export const SshAccess = strict({
  user: Type.String({
    pattern: "^[a-z_][-a-z0-9_]{0,31}$",
    description: "a user's name: lower-case letters, digits, dashes and underscores, at most 32",
  }),
  /** OpenSSH private key, PEM. Written once, kept sealed, never returned: reads give `"(sealed)"`. */
  privateKey: Type.String({ maxLength: 16_384 }),
  port: optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
});
export type SshAccess = Static<typeof SshAccess>;

export const Provider = defineKind({
  kind: "Provider",
  plural: "providers",
  prefix: "prv",
  scope: "zone",
  spec: strict({
    /** `ssh`: bare hosts that Skerry provisions; `manual`: agents that join by themselves with a token. */
    driver: oneOf(providerDrivers),
    country: CountryCode,
    /** Whose law binds the provider; its country where absent. */
    jurisdiction: optional(CountryCode),
    sovereigntyLevel: optional(SovereigntyLevel),
    displayName: optional(Type.String({ maxLength: 200 })),
    ssh: optional(SshAccess),
    schedulable: Schedulable,
  }),
  status: strict({
    conditions: Type.Array(Condition),
    /** When its private key was last set. */
    secretSetAt: optional(Timestamp),
  }),
});

const price = (what: string) =>
  optional(
    Type.String({
      pattern: "^[0-9]{1,9}(\\.[0-9]{1,9})?$",
      description: `a decimal number of at most nine digits before and after the point: of ${what}`,
    }),
  );

/** What a site's capacity costs those who have it; for showback, and nothing that placement weighs. */
export const PriceList = strict({
  /** The first month that it is for. */
  from: Month,
  currency: Type.String({ pattern: "^[A-Z]{3}$", description: "three capital letters, such as EUR (ISO 4217)" }),
  vcpuHour: price("one vCPU for an hour"),
  memoryGiBHour: price("a GiB of memory for an hour"),
  storageGiBMonth: price("a GiB of volumes for the whole month, however long it is"),
  addressHour: price("an address for an hour"),
  gpuHour: price("one GPU for an hour, whatever its model"),
});
export type PriceList = Static<typeof PriceList>;

export const Site = defineKind({
  kind: "Site",
  plural: "sites",
  prefix: "sit",
  scope: "zone",
  spec: strict({
    provider: Name,
    country: CountryCode,
    city: optional(Type.String({ maxLength: 100 })),
    latitude: Type.Number({ minimum: -90, maximum: 90 }),
    longitude: Type.Number({ minimum: -180, maximum: 180 }),
    tier: oneOf(["cloud", "in-country-edge", "near-edge", "far-edge", "on-premise"] as const),
    carbonGramsPerKWh: optional(Type.Number({ minimum: 0 })),
    eurosPerVcpuHour: optional(Type.Number({ minimum: 0 })),
    /** How many times the vCPUs and memory of its nodes are given out. */
    overcommit: optional(Overcommit),
    /** Round trips that were measured; all others are modelled by distance. */
    latencies: optional(MeasuredLatencies),
    /** Each from its month on, until the next one's. */
    prices: optional(Type.Array(PriceList, { maxItems: 240 })),
    schedulable: Schedulable,
  }),
  status: strict({}),
});
