import { Type, type Static } from "typebox";
import { DeviceWishes } from "./kinds/device.ts";
import { PlacementConstraints } from "./kinds/instance.ts";
import { Capacity } from "./kinds/node.ts";
import { PlacementChoice, PlacementRefusal } from "./placement-explanation.ts";
import { MeasuredLatencies, Overcommit } from "./overcommit.ts";
import { Labels, Name, oneOf, optional, strict } from "./schema.ts";

/** What one simulation takes. */
export const simulationLimits = { placements: 200, changes: 32, nodes: 1000, bytes: 256 * 1024 } as const;

const InstanceRef = strict({ project: Name, name: Name });

/** Something new, or as many alike as `count` says. */
export const SimulatedRequest = strict({
  name: Name,
  project: Name,
  count: optional(Type.Integer({ minimum: 1, maximum: simulationLimits.placements })),
  /** Of the instances that they would be, for affinities. */
  labels: optional(Labels),
  vcpus: Type.Integer({ minimum: 1, maximum: 512 }),
  memoryMiB: Type.Integer({ minimum: 32, maximum: 16_777_216 }),
  diskMiB: optional(Type.Integer({ minimum: 1 })),
  devices: optional(DeviceWishes),
  placement: optional(PlacementConstraints),
});
export type SimulatedRequest = Static<typeof SimulatedRequest>;

export const SimulatedChange = Type.Union([
  strict({ without: strict({ site: Name }) }, "without a site and its nodes"),
  strict({ without: strict({ provider: Name }) }),
  strict({ without: strict({ country: Type.String({ pattern: "^[A-Z]{2}$" }) }) }),
  strict({ without: strict({ node: Name }) }),
  strict({
    nodes: strict(
      {
        count: Type.Integer({ minimum: 1, maximum: simulationLimits.nodes }),
        site: optional(Name),
        country: optional(Type.String({ pattern: "^[A-Z]{2}$" })),
        capacity: Capacity,
        architecture: optional(oneOf(["x86_64", "aarch64"] as const)),
        labels: optional(Labels),
      },
      "that many more nodes of this size, at a site, or, with a country instead, at the site there that has most nodes",
    ),
  }),
  strict({
    site: strict(
      {
        name: Name,
        eurosPerVcpuHour: optional(Type.Number({ minimum: 0 })),
        carbonGramsPerKWh: optional(Type.Number({ minimum: 0 })),
        overcommit: optional(Overcommit),
        latencies: optional(MeasuredLatencies),
        schedulable: optional(Type.Boolean()),
      },
      "a site with another price, carbon intensity, overcommitment or round trip from places, or closed to what is new",
    ),
  }),
]);
export type SimulatedChange = Static<typeof SimulatedChange>;

export const SimulationRequest = strict({
  requests: optional(Type.Array(SimulatedRequest, { maxItems: simulationLimits.placements })),
  instances: optional(
    Type.Array(InstanceRef, {
      maxItems: simulationLimits.placements,
      description: "that are there and would be placed anew: what each takes is given back first",
    }),
  ),
  displaced: optional(
    Type.Boolean({
      description: "true: also all instances that the caller may read on nodes that the changes take away",
    }),
  ),
  changes: optional(Type.Array(SimulatedChange, { maxItems: simulationLimits.changes })),
});
export type SimulationRequest = Static<typeof SimulationRequest>;

export const SimulatedPlacement = strict({
  outcome: oneOf(["placed", "refused"] as const),
  choice: optional(PlacementChoice),
  reason: optional(Type.String({ description: "of a refusal, in words" })),
  refusals: optional(
    Type.Array(PlacementRefusal, { description: "of a refusal, what stands in the way; for the first 20 only" }),
  ),
});
export type SimulatedPlacement = Static<typeof SimulatedPlacement>;

export const PlacementSimulation = strict({
  revision: Type.Integer({ minimum: 0, description: "of the log, at which the nodes are as they are at first" }),
  nodes: strict({ now: Type.Integer(), changed: Type.Integer() }, "how many there are, and with the changes"),
  changes: Type.Array(
    strict({ sentence: Type.String(), nodes: Type.Integer({ description: "that it took away, brought or changed" }) }),
  ),
  placements: Type.Array(
    strict({
      name: Name,
      project: Name,
      /** Of an instance that is there. */
      present: optional(strict({ node: optional(Name), site: optional(Name) })),
      now: SimulatedPlacement,
      changed: SimulatedPlacement,
      effect: oneOf(
        ["same", "elsewhere", "lost", "gained"] as const,
        "of the changes: it would go to another node; no node would fit any more; one would that does not now",
      ),
    }),
    { description: "in the order in which they are placed, each beside those before it" },
  ),
  totals: strict({
    same: Type.Integer(),
    elsewhere: Type.Integer(),
    lost: Type.Integer(),
    gained: Type.Integer(),
  }),
});
export type PlacementSimulation = Static<typeof PlacementSimulation>;
