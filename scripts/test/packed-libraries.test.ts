import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { checkout } from "../checkout.ts";

const run = promisify(execFile);

const program = `
  import { Type } from "typebox";
  import { Compile } from "typebox/compile";
  const checks = Compile(Type.Object({ size: Type.Integer({ minimum: 1 }) }));
  const found = ["typebox", "typebox/compile"].map((name) => import.meta.resolve(name));
  console.log(JSON.stringify({ found, said: [checks.Check({ size: 1 }), checks.Check({ size: 0 }), checks.Errors({}).length] }));
`;

async function say(
  ...flags: readonly string[]
): Promise<{ readonly found: readonly string[]; readonly said: unknown }> {
  const { stdout } = await run(process.execPath, [...flags, "--input-type=module", "-e", program], {
    cwd: join(checkout, "packages/model"),
    env: { ...process.env, NODE_OPTIONS: "--disable-warning=ExperimentalWarning" },
  });
  return JSON.parse(stdout) as Awaited<ReturnType<typeof say>>;
}

test("what the launcher loads first gives the packed library, which says the same as the one that lies in many files", async () => {
  const packed = await say("--import", join(checkout, "scripts/packed-libraries.ts"));
  const plain = await say();
  for (const url of packed.found) assert.match(url, /\/\.cache\/libraries\/typebox-[\d.]+\/\w+\.mjs$/);
  for (const url of plain.found) assert.match(url, /\/node_modules\/typebox\//);
  assert.deepEqual(plain.said, [true, false, 1]);
  assert.deepEqual(packed.said, plain.said);
});
