import assert from "node:assert/strict";
import { createServer } from "node:http";
import { duplexPair } from "node:stream";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { HealthMonitor } from "../src/health/health-monitor.ts";
import type { HealthTarget } from "../src/health/health-monitor.ts";
import { probe } from "../src/health/probe.ts";
import type { ComputeDriver } from "../src/drivers/compute.ts";
import { eventually } from "./contract/deadline.ts";
import { newId } from "./contract/ids.ts";

function target(startedAtMs: number): HealthTarget {
  return { instanceId: newId("ins"), address: "10.0.0.2", check: { kind: "http", port: 80 }, startedAtMs };
}

test("a guest is unknown until it serves, then healthy, and its boot time is told once", async (t) => {
  const answers = [false, false, true];
  const boots: number[] = [];
  let changes = 0;
  const monitor = new HealthMonitor({
    probe: async () => answers.shift() ?? true,
    nowMs: () => Date.now(),
    onChange: () => (changes += 1),
    onFirstHealthy: ({ startedAtMs }, atMs) => boots.push(atMs - startedAtMs),
  });
  t.after(() => monitor.watch([]));
  const guest = target(Date.now());
  monitor.watch([guest]);
  assert.equal(monitor.health(guest.instanceId), "unknown");
  await eventually("it is healthy", () => monitor.health(guest.instanceId) === "healthy");
  monitor.watch([{ ...guest, startedAtMs: guest.startedAtMs + 10 }]);
  assert.equal(monitor.health(guest.instanceId), "healthy", "start times of one run may be read a little differently");
  assert.deepEqual([boots.length, changes], [1, 1]);
  assert.ok((boots[0] ?? 0) >= 400);
});

test("a guest that served before anyone looked gets no boot time, and one that stops serving is unhealthy after three failures", async (t) => {
  let serves = true;
  let probes = 0;
  const boots: number[] = [];
  const monitor = new HealthMonitor({
    probe: async () => {
      probes += 1;
      return serves;
    },
    nowMs: () => Date.now(),
    onChange: () => undefined,
    onFirstHealthy: (_target, atMs) => boots.push(atMs),
  });
  t.after(() => monitor.watch([]));
  const guest = target(Date.now() - 60_000);
  monitor.watch([guest]);
  await eventually("it is healthy", () => monitor.health(guest.instanceId) === "healthy");
  serves = false;
  const before = probes;
  await eventually("it is unhealthy", () => monitor.health(guest.instanceId) === "unhealthy", 15_000);
  assert.ok(probes - before >= 3);
  assert.deepEqual(boots, []);
});

test("only answers from 200 to 399 pass, and a silent guest fails in time", async () => {
  const server = createServer((request, response) => {
    if (request.url === "/silent") return;
    response.writeHead(Number(request.url?.slice(1))).end();
  });
  const dial = async (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    server.emit("connection", far);
    return near;
  };
  const compute = { dial } as unknown as ComputeDriver;
  const ask = (path: string) =>
    probe(compute, newId("ins"), "10.0.0.2", { kind: "http", port: 80, path }, 200, new AbortController().signal);
  assert.deepEqual(await Promise.all(["/200", "/302", "/404", "/500", "/silent"].map(ask)), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
