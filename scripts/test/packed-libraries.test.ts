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
  import Fastify from "fastify";
  const checks = Compile(Type.Object({ size: Type.Integer({ minimum: 1 }) }));
  const api = Fastify();
  api.get("/size/:size", (request, reply) => reply.code(checks.Check({ size: Number(request.params.size) }) ? 200 : 400).send({}));
  const answers = await Promise.all(["/size/1", "/size/0", "/none"].map((url) => api.inject(url)));
  const found = ["typebox", "typebox/compile", "fastify"].map((name) => import.meta.resolve(name));
  console.log(JSON.stringify({ found, said: [...answers.map(({ statusCode }) => statusCode), checks.Errors({}).length] }));
`;

async function say(
  ...flags: readonly string[]
): Promise<{ readonly found: readonly string[]; readonly said: unknown }> {
  const { stdout } = await run(process.execPath, [...flags, "--input-type=module", "-e", program], {
    cwd: join(checkout, "packages/server"),
    env: { ...process.env, NODE_OPTIONS: "--disable-warning=ExperimentalWarning" },
  });
  return JSON.parse(stdout) as Awaited<ReturnType<typeof say>>;
}

test("what the launcher loads first gives the packed libraries, which say the same as those that lie in many files", async () => {
  const packed = await say("--import", join(checkout, "scripts/packed-libraries.ts"));
  const plain = await say();
  for (const url of packed.found) assert.match(url, /\/\.cache\/libraries\/(typebox|fastify)-[\d.]+\/\w+\.[cm]js$/);
  for (const url of plain.found) assert.match(url, /\/node_modules\/(typebox|fastify)\//);
  assert.deepEqual(plain.said, [200, 400, 404, 1]);
  assert.deepEqual(packed.said, plain.said);
});
