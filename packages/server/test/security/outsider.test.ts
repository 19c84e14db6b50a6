import { describe, test } from "node:test";
import { playOutsider } from "./outsider.ts";

describe("somebody with the OpenAPI document and a token of one project", { timeout: 300_000 }, () => {
  for (const role of ["viewer", "operator", "admin"] as const) {
    test(`sees and changes nothing that is not theirs as its ${role}, and makes nothing fail, in 1,000 requests`, (t) =>
      playOutsider(t, 1000, role));
  }
});
