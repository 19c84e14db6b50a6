import assert from "node:assert/strict";
import { test } from "node:test";
import { missingLessons, securityLessons } from "../testing/security-lessons.ts";

test("each security lesson has its test where it is said to be, and one that has not is found", () => {
  assert.deepEqual(missingLessons(), []);
  const [first] = securityLessons;
  assert.ok(first !== undefined);
  const gone = { ...first, test: "no test is called this" };
  assert.deepEqual(missingLessons([first, gone]), [gone]);
});
