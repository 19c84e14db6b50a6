/** Degrees, WGS 84. */
export interface Coordinates {
  readonly latitude: number;
  readonly longitude: number;
}

/** A round trip from a place. */
export interface RoundTrip {
  /** The place's name, or its coordinates. */
  readonly from: string;
  readonly milliseconds: number;
  /** Computed, not measured. */
  readonly modelled: boolean;
}

/**
 * The model: light in fibre at two thirds of c over a path `pathStretch` times as long as the great circle, there and
 * back, and `lastMileMs` for the access networks and routers at both ends. An estimate that knows neither cables nor
 * peering and was fitted to no measurements: good to rule places out, and replaced by measured times where there are some.
 */
export const latencyModel = {
  fibreKmPerMs: (299_792.458 * (2 / 3)) / 1000,
  pathStretch: 1.6,
  lastMileMs: 3,
} as const;

const earthRadiusKm = 6371.0088;

/** Great-circle distance (haversine on the mean sphere, within 0.6 % of the ellipsoid). */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const [latitudeA, latitudeB] = [radians(a.latitude), radians(b.latitude)];
  const half =
    Math.sin((latitudeB - latitudeA) / 2) ** 2 +
    Math.cos(latitudeA) * Math.cos(latitudeB) * Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(half)));
}

/** Round trip between two points by `latencyModel`, in milliseconds. */
export function modelledRoundTripMs(a: Coordinates, b: Coordinates): number {
  const { fibreKmPerMs, pathStretch, lastMileMs } = latencyModel;
  return (2 * distanceKm(a, b) * pathStretch) / fibreKmPerMs + lastMileMs;
}

/** As it was measured from a place of this name, or by `latencyModel`. */
export function roundTripMs(
  place: Coordinates & { readonly name: string },
  to: Coordinates & { readonly measuredMs?: Readonly<Record<string, number>> | undefined },
): Omit<RoundTrip, "from"> {
  const milliseconds = to.measuredMs?.[place.name];
  if (milliseconds !== undefined) return { milliseconds, modelled: false };
  return { milliseconds: modelledRoundTripMs(place, to), modelled: true };
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
