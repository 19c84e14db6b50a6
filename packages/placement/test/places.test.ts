import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { distanceKm, findPlace, place, places } from "@skerry/placement";
import { request } from "./fleet.ts";

function refusal(name: string): string {
  try {
    place(request({ maxLatency: [{ from: name, milliseconds: 1 }] }), []);
  } catch (error) {
    return (error as Error).message;
  }
  return "known";
}

describe("places", () => {
  test("there are at least 60 cities in Europe, and some elsewhere", () => {
    const isEuropean = ({ latitude, longitude }: (typeof places)[number]): boolean =>
      latitude > 34 && latitude < 66 && longitude > -25 && longitude < 34;
    assert.ok(places.filter(isEuropean).length >= 60);
    assert.ok(places.filter((place) => !isEuropean(place)).length >= 10);
  });

  test("every place has its own spot and name", () => {
    assert.equal(new Set(places.map((place) => place.name)).size, places.length);
    for (const [index, one] of places.entries()) {
      assert.match(one.country ?? "", /^[A-Z]{2}$/);
      for (const other of places.slice(index + 1))
        assert.ok(distanceKm(one, other) > 8, `${one.name} and ${other.name}`);
    }
  });

  test("a place is found by any of its names, in any case, with or without accents, and in no other's", () => {
    for (const name of ["Zürich", "zurich", "ZUERICH", " zürich "]) assert.equal(findPlace(name)?.name, "Zürich");
    for (const name of ["København", "kobenhavn", "Copenhagen"]) assert.equal(findPlace(name)?.name, "Copenhagen");
    for (const name of ["Wrocław", "wroclaw"]) assert.equal(findPlace(name)?.name, "Wrocław");
    for (const name of ["the hague", "Den-Haag"]) assert.equal(findPlace(name)?.name, "The Hague");
    for (const name of ["", "Atlantis", "constructor"]) assert.equal(findPlace(name), undefined);
    for (const { name } of places) assert.equal(findPlace(name)?.name, name);
  });

  test("an unknown name is answered with the nearest known ones, or with none", () => {
    assert.match(refusal("Barcelonna"), /Did you mean Barcelona\?$/);
    assert.match(refusal("Frank"), /Did you mean Frankfurt\?$/);
    assert.match(refusal("Brussel s"), /^known$/);
    assert.match(refusal("qqqqqq"), /No place named "qqqqqq" is known\.$/);
    assert.match(refusal("東京"), /is known\.$/);
  });
});
