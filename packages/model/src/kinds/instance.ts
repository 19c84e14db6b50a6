import { Type, type Static } from "typebox";
import { CountryCode, Id, Labels, Name, Timestamp, oneOf, optional, strict } from "../schema.ts";
import { Assignment, Condition, OrderRevision, Removal } from "../metadata.ts";
import { PlacementDecision } from "../placement-decision.ts";
import { SovereigntyLevel } from "./provider.ts";
import { DeviceWishes, HeldDevice } from "./device.ts";
import { Taint } from "../taint.ts";
import { accelerators, computeDrivers } from "./node.ts";
import { defineKind } from "../kind.ts";

export const instanceStates = ["pending", "stopped", "starting", "running", "stopping", "failed", "absent"] as const;
export type InstanceState = (typeof instanceStates)[number];

/** At most `milliseconds` of round trip from a place: a known city's name, or coordinates. */
export const LatencyLimit = strict({
  from: Type.Union([
    Type.String({ maxLength: 100 }),
    strict({
      latitude: Type.Number({ minimum: -90, maximum: 90 }),
      longitude: Type.Number({ minimum: -180, maximum: 180 }),
    }),
  ]),
  milliseconds: Type.Number({ exclusiveMinimum: 0 }),
});
export type LatencyLimit = Static<typeof LatencyLimit>;

const Weight = optional(Type.Number({ minimum: 0, maximum: 1000 }));

/** What makes one node better than another, each from 0 on. */
const PlacementWeights = strict(
  { spread: Weight, pack: Weight, price: Weight, carbon: Weight, latency: Weight },
  "what counts in a node's score, the sum of: how much of it is used (spread) or is not (pack), the site's price per 0.10 EUR for a " +
    "vCPU and hour, its carbon per 500 g for a kWh, and the slowest round trip of maxLatency per 100 ms. What is not known counts as 1. " +
    "The least score wins; spread alone counts where this is absent",
);

const affinityScopes = ["node", "site", "provider", "country"] as const;

/** Where it stands to instances of its project that have these labels. */
const AffinityWish = strict({
  relation: oneOf(["with", "apart"] as const, "with: where one of them is at least; apart: where none of them is"),
  by: oneOf(affinityScopes, "in the same, or another, one of these"),
  labels: Type.Record(Type.String(), Type.String(), {
    ...Labels,
    minProperties: 1,
    description: "of its peers: all of these",
  }),
  weight: optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description:
        "what it costs in the score where it does not hold, of apart for each peer there; it must hold where absent",
    }),
  ),
});

/** Where an instance may run: every given field but weights must hold, at placement and at every later move. */
export const PlacementConstraints = strict({
  countries: optional(Type.Array(CountryCode, { minItems: 1, maxItems: 64 })),
  jurisdictions: optional(Type.Array(CountryCode, { minItems: 1, maxItems: 64 })),
  providers: optional(Type.Array(Name, { minItems: 1, maxItems: 64 })),
  sites: optional(Type.Array(Name, { minItems: 1, maxItems: 64 })),
  nodes: optional(Type.Array(Name, { minItems: 1, maxItems: 64 })),
  tiers: optional(
    Type.Array(oneOf(["cloud", "in-country-edge", "near-edge", "far-edge", "on-premise"] as const), {
      minItems: 1,
      maxItems: 5,
    }),
  ),
  minSovereigntyLevel: optional(SovereigntyLevel),
  /** The node's labels must hold these. */
  labels: optional(Labels),
  architecture: optional(oneOf(["x86_64", "aarch64"] as const)),
  residency: optional(
    Type.Array(CountryCode, {
      minItems: 1,
      maxItems: 64,
      description:
        "its data stays in these: the site is in one of them, and the provider bound by the law of one of them",
    }),
  ),
  tolerations: optional(
    Type.Array(Taint, { minItems: 1, maxItems: 32, description: "taints of nodes that do not keep it out" }),
  ),
  affinity: optional(
    Type.Array(AffinityWish, {
      minItems: 1,
      maxItems: 16,
      description:
        "with or apart from others of its project, by their labels. That something is with others is asked when it is placed or moved, and of " +
        "none where there are none yet; that it is apart holds always, whichever of the two comes later",
    }),
  ),
  maxLatency: optional(Type.Array(LatencyLimit, { minItems: 1, maxItems: 16 })),
  weights: optional(PlacementWeights),
});
export type PlacementConstraints = Static<typeof PlacementConstraints>;

/** How the agent tells that the guest serves: an HTTP GET that answers 2xx or 3xx, or a TCP connection that opens. */
export const HealthCheck = strict({
  kind: oneOf(["http", "tcp"] as const),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  path: optional(
    Type.String({
      maxLength: 200,
      pattern: "^/[-A-Za-z0-9_./?=&%]*$",
      description: "a path that begins with a slash, of letters, digits and -_./?=&%",
    }),
  ),
});
export type HealthCheck = Static<typeof HealthCheck>;

/** Shortest and longest that a node may be away before an instance is replaced, seconds. */
export const replaceAfterSeconds = { minimum: 30, maximum: 86_400 } as const;

/** What becomes of an instance whose node is cut off from the control plane; `keep` where absent. */
export const OnDisconnect = Type.Union(
  [oneOf(["keep"] as const), strict({ replaceAfterSeconds: Type.Integer(replaceAfterSeconds) })],
  {
    description:
      "keep: it runs on where it is, and nothing moves by itself. replaceAfterSeconds: its node ends it before so long has " +
      "passed without the control plane, which then starts it anew from its image on another node, with the same name, " +
      "addresses and identity; what the old disk held is given up.",
  },
);
export type OnDisconnect = Static<typeof OnDisconnect>;

/**
 * The longest that the instance's node may run it without hearing from the server, and whether that is certain: a node that was
 * told `keep` before counts only once it has reported in knowledge of the change, made at `since`.
 */
export const InstanceLease = strict({
  seconds: Type.Integer({ minimum: 1 }),
  confirmed: Type.Boolean(),
  since: OrderRevision,
});
export type InstanceLease = Static<typeof InstanceLease>;

/** Which node runs an instance, and what operations have asked of it besides its spec. */
export const InstanceAssignment = strict({
  ...Assignment.properties,
  /** How that node was chosen; absent where the server chose none, as when a move goes back. */
  decision: optional(PlacementDecision),
  /** The operation that keeps it stopped, whatever `spec.power` says. */
  heldBy: optional(Id),
  /** What it has of its node for itself. */
  devices: optional(Type.Array(HeldDevice)),
  /** Where a move in progress will take it; what it needs is kept free there. */
  movingTo: optional(strict({ node: Name, nodeId: Id, devices: optional(Type.Array(HeldDevice)) })),
  /** What is kept for it on the node that a move in progress has left, to which it may go back. */
  leaving: optional(strict({ nodeId: Id, devices: Type.Array(HeldDevice) })),
  /** How long a stop waits for the guest to shut down by itself; the agent's own grace where absent. */
  stopGraceMs: optional(Type.Integer({ minimum: 0 })),
  /** Nodes that it left and that may still define it; each goes once that node was seen without it, and is nobody else's until then. */
  former: optional(
    Type.Array(
      strict({
        node: Name,
        nodeId: Id,
        epoch: Type.Integer({ minimum: 1 }),
        since: OrderRevision,
        devices: optional(Type.Array(HeldDevice)),
      }),
    ),
  ),
  removal: optional(Removal),
  /** Only where the spec lets it be replaced. */
  lease: optional(InstanceLease),
});
export type InstanceAssignment = Static<typeof InstanceAssignment>;

export const Instance = defineKind({
  kind: "Instance",
  plural: "instances",
  prefix: "ins",
  scope: "project",
  spec: strict({
    runtime: optional(oneOf(["vm"] as const)),
    vcpus: Type.Integer({ minimum: 1, maximum: 512 }),
    memoryMiB: Type.Integer({ minimum: 32, maximum: 16_777_216 }),
    /** Boot image: `name` in this project, or `project/name` where shared. */
    image: Type.String({
      maxLength: 127,
      pattern: "^[-a-z0-9]+(/[-a-z0-9]+)?$",
      description: "an image's NAME, or PROJECT/NAME where shared",
    }),
    /** Size of the root volume; the image's virtual size where absent. */
    diskMiB: optional(Type.Integer({ minimum: 1 })),
    /** What it is to have of its node for itself. */
    devices: optional(DeviceWishes),
    /** At most one address on each network, leased by the server. */
    networks: optional(Type.Array(Name, { maxItems: 8, uniqueItems: true })),
    sshKeys: optional(
      Type.Array(
        Type.String({
          maxLength: 2048,
          pattern: "^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\\n\\r]*)?$",
          description: "a public key as in authorized_keys, such as ssh-ed25519 AAAA…",
        }),
        { maxItems: 32 },
      ),
    ),
    /** cloud-init user data, given to the guest untouched on its seed disk. */
    userData: optional(Type.String({ maxLength: 65_536 })),
    power: optional(oneOf(["running", "stopped"] as const)),
    /** Raise it to ask for one reboot. */
    rebootGeneration: optional(Type.Integer({ minimum: 0 })),
    healthCheck: optional(HealthCheck),
    placement: optional(PlacementConstraints),
    onDisconnect: optional(OnDisconnect),
  }),
  assignment: InstanceAssignment,
  status: strict({
    state: oneOf(instanceStates),
    /** Whether the health check passes; `unknown` without one, or before its first answer. */
    health: oneOf(["unknown", "healthy", "unhealthy"] as const),
    addresses: Type.Array(strict({ network: Name, address: Type.String(), mac: Type.String() })),
    startedAt: optional(Timestamp),
    /** From the start of the guest to its first passed health check. */
    bootMs: optional(Type.Integer({ minimum: 0 })),
    driver: optional(oneOf(computeDrivers)),
    accelerator: optional(oneOf(accelerators)),
    error: optional(Type.String()),
    /** Of the node that it is on. */
    site: optional(Name),
    provider: optional(Name),
    /** When the node last reported it: the age of all the above. */
    seenAt: optional(Timestamp),
    /** The spec's generation that the node has applied. */
    observedGeneration: optional(Type.Integer()),
    conditions: Type.Array(Condition, {
      description:
        "Failing: what its node fails at, and the remedy. Reachable: only where its node is not heard; all the rest is as old.",
    }),
  }),
});
