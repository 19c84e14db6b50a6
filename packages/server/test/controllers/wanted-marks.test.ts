import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WantedVolume } from "@skerry/protocol";
import { WantedMarks } from "../../src/controllers/wanted-marks.ts";

function volume(id: string, epoch = 1): WantedVolume {
  return { id, presence: "present", epoch, sizeMiB: 1, origin: { kind: "blank" }, access: "write" };
}

describe("the marks of a wanted state", () => {
  test("tell what changed since a revision, and nothing where the same is marked again", () => {
    const marks = new WantedMarks(10);
    marks.volume("a", volume("a"), 10);
    marks.volume("b", volume("b"), 11);
    marks.volume("a", volume("a"), 12);
    assert.equal(marks.revision, 11);
    assert.deepEqual(marks.since(10), { surroundings: false, volumes: ["b"], instances: [], unmentioned: [] });
    marks.volume("a", volume("a", 2), 13);
    marks.volume("b", undefined, 14);
    assert.deepEqual(marks.since(11), { surroundings: false, volumes: ["a"], instances: [], unmentioned: ["b"] });
    marks.volume("b", volume("b"), 15);
    assert.deepEqual(marks.since(13)?.unmentioned, []);
    assert.deepEqual(marks.since(15), { surroundings: false, volumes: [], instances: [], unmentioned: [] });
  });

  test("know nothing of what was before the first, nor before what they have forgotten", () => {
    const marks = new WantedMarks(10);
    assert.equal(marks.since(9), undefined);
    for (let index = 0; index < 250; index++) marks.volume(`v${index}`, volume(`v${index}`), 11);
    for (let index = 0; index < 250; index++) marks.volume(`v${index}`, undefined, 12 + index);
    assert.equal(marks.since(11), undefined, "who has a state with all of them could not be told which went");
    const told = marks.since(240);
    assert.deepEqual(
      told?.unmentioned,
      Array.from({ length: 21 }, (_, index) => `v${229 + index}`),
    );
  });
});
