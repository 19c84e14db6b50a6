import { findPlace } from "@skerry/placement";
import type { Candidate, PlacementRequest } from "@skerry/placement";

/** A node of 4 vCPU and 8 GiB in a city of the table; the city's name is its site's. */
export function node(name: string, city: string, changes: Partial<Candidate> = {}): Candidate {
  const place = findPlace(city);
  if (place?.country === undefined) throw new Error(`no city ${city}`);
  return {
    name,
    id: `nod_${name}`,
    site: city.toLowerCase(),
    provider: `provider-${place.country.toLowerCase()}`,
    country: place.country,
    jurisdiction: place.country,
    sovereigntyLevel: 2,
    tier: "cloud",
    labels: {},
    architecture: "x86_64",
    latitude: place.latitude,
    longitude: place.longitude,
    schedulable: true,
    healthy: true,
    capacity: { vcpus: 4, memoryMiB: 8192, diskMiB: 102_400 },
    used: { vcpus: 0, memoryMiB: 0, diskMiB: 0 },
    ...changes,
  };
}

/** A request for 1 vCPU, 1 GiB and 10 GiB of disk. */
export function request(
  constraints: PlacementRequest["constraints"] = {},
  changes: Partial<PlacementRequest> = {},
): PlacementRequest {
  return { vcpus: 1, memoryMiB: 1024, diskMiB: 10_240, constraints, ...changes };
}
