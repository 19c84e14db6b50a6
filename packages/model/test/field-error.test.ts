import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, fieldName, inputParser, isRecord, kindNames, kinds } from "@skerry/model";

const parse = inputParser("Instance");
const smallest = { vcpus: 1, memoryMiB: 96, image: "islet" };

/** What is said of an input, field by field. */
function said(input: unknown): string[] {
  try {
    parse(input);
  } catch (error) {
    if (error instanceof SkerryError)
      return (error.errors ?? []).map(({ path, message }) => `${fieldName(path)} ${message}`);
    throw error;
  }
  return [];
}

interface AnySchema {
  readonly pattern?: string;
  readonly description?: string;
}

function* schemasIn(value: unknown, path: string): Generator<readonly [string, AnySchema]> {
  if (typeof value !== "object" || value === null) return;
  if ("pattern" in value && typeof value.pattern === "string") yield [path, value as AnySchema];
  for (const [key, inner] of Object.entries(value)) yield* schemasIn(inner, `${path}/${key}`);
}

describe("what is said of a bad field", () => {
  test("is in words, with the field as people write it", () => {
    const placement = {
      countries: ["ES", "Spain"],
      tiers: ["moon"],
      maxLatency: [{ from: "madrid", milliseconds: 0 }],
    };
    assert.deepEqual(said({ spec: { ...smallest, placement } }), [
      "spec.placement.countries[1] must be two capital letters, such as ES (ISO 3166-1 alpha-2)",
      "spec.placement.tiers[0] must be one of: cloud, in-country-edge, near-edge, far-edge, on-premise",
      "spec.placement.maxLatency[0].milliseconds must be more than 0",
    ]);
    assert.deepEqual(said({ metadata: { name: "Web", labels: { a: "b c" } }, spec: smallest }), [
      "metadata.name must be lower-case letters, digits and dashes, starting with a letter, at most 63",
      "metadata.labels.a must be letters, digits, dashes, underscores and dots, at most 63",
    ]);
    assert.deepEqual(said({ metadata: { labels: { "A B": "x" } }, spec: smallest }), [
      "metadata.labels has keys of a form that is not allowed: A B",
    ]);
    assert.deepEqual(said({ spec: { ...smallest, vcpus: 0, memoryMiB: "much", colour: "red" } }), [
      "spec has unknown fields: colour",
      "spec.vcpus must be at least 1",
      "spec.memoryMiB must be a whole number",
    ]);
    assert.deepEqual(said({ spec: { image: "islet", vcpus: 1 } }), ["spec lacks memoryMiB"]);
    assert.deepEqual(said(7), ["it must be a group of fields"]);
  });

  test("of several shapes names these, or what is wrong within the one that was meant", () => {
    const unions = (onDisconnect: unknown) => said({ spec: { ...smallest, onDisconnect } });
    assert.deepEqual(unions("never"), ["spec.onDisconnect must be keep, or { replaceAfterSeconds }"]);
    assert.deepEqual(unions({ replaceAfterSeconds: 1 }), ["spec.onDisconnect.replaceAfterSeconds must be at least 30"]);
  });

  test("never shows a pattern: each that a client's text may miss has words", () => {
    for (const kind of kindNames.filter((name) => !isRecord(name))) {
      for (const [path, schema] of schemasIn(kinds[kind].input, kind))
        assert.ok(schema.description !== undefined, `${path} has the pattern ${schema.pattern} and no description`);
    }
  });
});
