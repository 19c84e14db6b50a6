/** One provider of the demo with its one site: real places, so that law and latency mean something. */
export interface DemoProvider {
  readonly provider: string;
  readonly site: string;
  readonly country: string;
  readonly city: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly tier: "cloud" | "in-country-edge" | "near-edge" | "far-edge" | "on-premise";
}

/** Eleven providers in seven countries; the first three are in three. Names are invented, places are not. */
export const demoProviders: readonly DemoProvider[] = [
  {
    provider: "meseta",
    site: "madrid",
    country: "ES",
    city: "Madrid",
    latitude: 40.4168,
    longitude: -3.7038,
    tier: "near-edge",
  },
  {
    provider: "havel",
    site: "berlin",
    country: "DE",
    city: "Berlin",
    latitude: 52.52,
    longitude: 13.405,
    tier: "cloud",
  },
  {
    provider: "wisla",
    site: "warsaw",
    country: "PL",
    city: "Warsaw",
    latitude: 52.2297,
    longitude: 21.0122,
    tier: "in-country-edge",
  },
  {
    provider: "polder",
    site: "amsterdam",
    country: "NL",
    city: "Amsterdam",
    latitude: 52.3676,
    longitude: 4.9041,
    tier: "cloud",
  },
  {
    provider: "adria",
    site: "zagreb",
    country: "HR",
    city: "Zagreb",
    latitude: 45.815,
    longitude: 15.9819,
    tier: "on-premise",
  },
  {
    provider: "triglav",
    site: "ljubljana",
    country: "SI",
    city: "Ljubljana",
    latitude: 46.0569,
    longitude: 14.5058,
    tier: "near-edge",
  },
  {
    provider: "malar",
    site: "stockholm",
    country: "SE",
    city: "Stockholm",
    latitude: 59.3293,
    longitude: 18.0686,
    tier: "in-country-edge",
  },
  {
    provider: "turia",
    site: "valencia",
    country: "ES",
    city: "Valencia",
    latitude: 39.4699,
    longitude: -0.3763,
    tier: "far-edge",
  },
  {
    provider: "isar",
    site: "munich",
    country: "DE",
    city: "Munich",
    latitude: 48.1351,
    longitude: 11.582,
    tier: "near-edge",
  },
  {
    provider: "baltyk",
    site: "gdansk",
    country: "PL",
    city: "Gdańsk",
    latitude: 54.352,
    longitude: 18.6466,
    tier: "far-edge",
  },
  {
    provider: "maas",
    site: "rotterdam",
    country: "NL",
    city: "Rotterdam",
    latitude: 51.9244,
    longitude: 4.4777,
    tier: "far-edge",
  },
];
