import { describe, test } from "node:test";
import { playOutsider } from "../security/outsider.ts";

const count = Number(process.env["SKERRY_TEST_RUNS"] ?? 100_000);

describe("somebody with the OpenAPI document and a token of one project", () => {
  for (const role of ["viewer", "admin"] as const) {
    test(`sees and changes nothing that is not theirs as its ${role}, and makes nothing fail, in ${count} requests`, (t) =>
      playOutsider(t, count, role));
  }
});
