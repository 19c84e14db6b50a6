import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { distanceKm, findPlace, latencyModel, modelledRoundTripMs } from "@skerry/placement";
import type { Coordinates } from "@skerry/placement";
import "@skerry/testkit/seed";

const point: fc.Arbitrary<Coordinates> = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
});

function city(name: string): Coordinates {
  const place = findPlace(name);
  assert.ok(place !== undefined, name);
  return place;
}

describe("distance", () => {
  // Distances by air as atlases give them.
  for (const [from, to, km] of [
    ["Madrid", "Paris", 1053],
    ["Lisbon", "Helsinki", 3363],
    ["London", "New York", 5585],
    ["Amsterdam", "Brussels", 173],
  ] as const) {
    test(`from ${from} to ${to} is ${km} km within 1 %`, () => {
      const seen = distanceKm(city(from), city(to));
      assert.ok(Math.abs(seen - km) < km * 0.01, `${seen} km`);
    });
  }

  test("is 0 to itself, half the circumference to the antipode, symmetric, and never shorter by a detour", () => {
    assert.equal(distanceKm(city("Rome"), city("Rome")), 0);
    const half = Math.PI * 6371.0088;
    assert.ok(Math.abs(distanceKm({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 180 }) - half) < 1e-6);
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const direct = distanceKm(a, b);
        assert.ok(direct >= 0 && direct <= half + 1e-6);
        assert.ok(Math.abs(direct - distanceKm(b, a)) < 1e-6);
        assert.ok(direct <= distanceKm(a, c) + distanceKm(c, b) + 1e-3);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the latency model", () => {
  test("is fibre at two thirds of the speed of light over a stretched path, there and back, and the last mile", () => {
    const [a, b] = [city("Madrid"), city("Paris")];
    const expected = (2 * distanceKm(a, b) * 1.6) / ((299_792.458 / 1000) * (2 / 3)) + 3;
    assert.ok(Math.abs(modelledRoundTripMs(a, b) - expected) < 1e-9);
    assert.equal(modelledRoundTripMs(a, a), latencyModel.lastMileMs);
  });

  test("never promises less than light in a straight fibre would take", () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        assert.ok(modelledRoundTripMs(a, b) > (2 * distanceKm(a, b)) / latencyModel.fibreKmPerMs);
      }),
    );
  });
});
