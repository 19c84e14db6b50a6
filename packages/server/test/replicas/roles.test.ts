import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { json } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import type { ReplicatedStore, Role } from "@skerry/store";
import type { Listener } from "../../src/api/listener.ts";
import { ServerMetrics } from "../../src/metrics/server-metrics.ts";
import { RequestLimits } from "../../src/limits/request-limits.ts";
import { FailureLimit } from "../../src/authorisation/failure-limit.ts";
import { openImageFiles } from "../../src/images/image-files.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { followRoles } from "../../src/replicas/roles.ts";
import type { Serving } from "../../src/replicas/serving.ts";
import { openSealer } from "../../src/secrets/sealer.ts";
import { AttemptLimit } from "../../src/sign-in/attempt-limit.ts";
import { PasswordHasher } from "../../src/sign-in/password.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { evenRandom, quietLog } from "../fakes/quiet.ts";
import { openScratchStore } from "../fakes/scratch-store.ts";

const follower: Role = { kind: "follower", leader: undefined };
const leader: Role = { kind: "leader", epoch: 1 };

/** A replica whose role the test sets, and whose start as a leader fails until the folder of its admin's token is there. */
async function startReplica(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "skerry-roles-"));
  t.after(() => rm(folder, { recursive: true }));
  const clock = new ManualClock();
  const scratch = await openScratchStore(() => clock.nowMs());
  t.after(() => scratch[Symbol.asyncDispose]());
  let role: Role = follower;
  let tell: (role: Role) => void = () => undefined;
  const store: ReplicatedStore = new Proxy(scratch.store as ReplicatedStore, {
    get(target, name) {
      if (name === "role") return role;
      if (name === "onRole") return (listener: typeof tell) => ((tell = listener), () => (tell = () => undefined));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const served: Serving[] = [];
  let serves = Promise.withResolvers<void>();
  const listener: Listener = {
    addresses: [],
    serve: (serving) => (served.push(serving), serves.resolve()),
    close: () => Promise.resolve(),
  };
  const failed: { error: unknown }[] = [];
  let fails = Promise.withResolvers<void>();
  const adminTokenFile = join(folder, "later", "admin.token");
  const foundation = {
    store,
    authority: await openAuthority(join(folder, "pki"), () => clock.nowMs()),
    sealer: await openSealer(join(folder, "sealing.key")),
    images: await openImageFiles(join(folder, "images")),
    provisioner: { steps: () => [] },
    adminTokenFile,
    failures: new FailureLimit(clock),
    attempts: new AttemptLimit(clock),
    hasher: new PasswordHasher(),
    firstStart: { file: join(folder, "first-start.link"), url: "https://127.0.0.1" },
    limits: new RequestLimits(clock),
    metrics: new ServerMetrics(store, () => true),
    clock,
    random: evenRandom,
    log: { ...quietLog, error: (facts: object) => (failed.push(facts as { error: unknown }), fails.resolve()) },
    surelyLeads: () => true,
    version: "0.0.0-test",
  };
  const lost = (): void => assert.fail("it was lost");
  const roles = await followRoles({ foundation, store, listener, lost });
  t.after(() => roles.close());
  return {
    clock,
    roles,
    served,
    failed,
    mend: () => mkdir(dirname(adminTokenFile)),
    become(next: Role) {
      role = next;
      tell(next);
    },
    /** Resolves when it serves anew. */
    async servesAnew() {
      serves = Promise.withResolvers();
      await serves.promise;
    },
    async failsAnew() {
      fails = Promise.withResolvers();
      await fails.promise;
    },
  };
}

/** Waits until the clock has a timer, or has none. */
async function untilWaits(clock: ManualClock, waits = true): Promise<void> {
  const untilMs = performance.now() + 5000;
  while ((clock.nextAtMs() !== undefined) !== waits) {
    assert.ok(performance.now() < untilMs, waits ? "nothing is tried again" : "it is still to be tried again");
    await new Promise(setImmediate);
  }
}

/** Whether it says that it leads no more than it follows: it knows nobody to pass a change on to. */
async function knowsNoLeader(serving: Serving | undefined): Promise<boolean> {
  const server = createServer((request, response) => serving?.request(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const asked = get({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, path: "/not-a-read" });
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  const { detail } = (await json(answer)) as { detail?: string };
  server.close();
  return answer.statusCode === 503 && /No replica leads/.test(detail ?? "");
}

test("a replica that leads and could not begin to tries again until it can, and follows meanwhile", async (t) => {
  const replica = await startReplica(t);
  assert.equal(replica.served.length, 1);
  let failing = replica.failsAnew();
  replica.become(leader);
  for (let tries = 0; tries < 8; tries++) {
    await failing;
    failing = replica.failsAnew();
    await untilWaits(replica.clock);
    const waitMs = (replica.clock.nextAtMs() ?? 0) - replica.clock.nowMs();
    assert.equal(waitMs, Math.min(4000, 250 * 2 ** tries));
    assert.equal(replica.served.length, 1);
    assert.equal(await knowsNoLeader(replica.served.at(-1)), true);
    if (tries === 7) await replica.mend();
    const serving = replica.servesAnew();
    replica.clock.moveTo(replica.clock.nextAtMs() ?? 0);
    if (tries === 7) await serving;
  }
  assert.equal(replica.failed.length, 8);
  assert.equal(await knowsNoLeader(replica.served.at(-1)), false);
});

test("it stops trying at once when it leads no more, and leads at once when it does again", async (t) => {
  const replica = await startReplica(t);
  const failing = replica.failsAnew();
  replica.become(leader);
  await failing;
  await untilWaits(replica.clock);
  replica.become(follower);
  await untilWaits(replica.clock, false);
  assert.equal(replica.served.length, 1);
  await replica.mend();
  const serving = replica.servesAnew();
  replica.become(leader);
  await serving;
  assert.equal(replica.failed.length, 1);
});

test("it stops trying when it is closed", async (t) => {
  const replica = await startReplica(t);
  const failing = replica.failsAnew();
  replica.become(leader);
  await failing;
  await untilWaits(replica.clock);
  await replica.roles.close();
  assert.equal(replica.clock.nextAtMs(), undefined);
  assert.equal(replica.failed.length, 1);
});
