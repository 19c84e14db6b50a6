import assert from "node:assert/strict";
import { test } from "node:test";
import { killInstallations } from "../real/installation-kills.ts";

test("an installation killed before any one of its commands leaves a whole release or none, and the next finishes it", async (context) => {
  const kills = await killInstallations(1);
  context.diagnostic(`${kills} places to be killed at`);
  assert.ok(kills > 40);
});
