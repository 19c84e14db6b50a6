import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Problem, SkerryError, errorCatalogue, errorCodes, fromProblem, parserOf, toProblem } from "@skerry/model";

const parse = parserOf(Problem, "problem");

describe("problems", () => {
  test("each code of the catalogue survives the wire with its status, remedy and facts", () => {
    for (const code of errorCodes) {
      const sent = new SkerryError(code, "what happened", {
        remedy: "do this",
        facts: { seen: 1 },
        errors: [{ path: "/a", message: "b" }],
      });
      const wire = parse(JSON.parse(JSON.stringify(toProblem(sent))));
      assert.equal(wire.status, errorCatalogue[code].status);
      const received = fromProblem(wire);
      assert.deepEqual(
        [received.code, received.message, received.remedy, received.facts, received.errors],
        [sent.code, sent.message, sent.remedy, sent.facts, sent.errors],
      );
    }
  });

  test("a defect becomes `internal` and tells nothing of its message", () => {
    const problem = toProblem(new TypeError("password is hunter2"));
    assert.equal(problem.code, "internal");
    assert.ok(!JSON.stringify(problem).includes("hunter2"));
  });
});
