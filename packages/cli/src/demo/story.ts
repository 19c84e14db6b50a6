import { mkdir, rm } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  SkerryError,
  fromProblem,
  kinds,
  parserOf,
  type InstanceResource,
  type OperationResource,
} from "@skerry/model";
import type { Client, Mutation, ResourceKey } from "@skerry/sdk";
import { imageFlags } from "../commands/image-flags.ts";
import type { Progress, ProgressLine } from "../output/progress.ts";
import { formatBytes, formatDuration } from "../output/duration.ts";
import { stepLines } from "../mutation.ts";
import { version } from "../version.ts";
import { startControlPlane, type ControlPlanePlace, type DemoControlPlane } from "./control-plane.ts";
import { demoProviders, type DemoProvider } from "./continuum.ts";
import { guestGet } from "./guest-http.ts";
import type { Narrator } from "./narrator.ts";
import type { DemoInstance, DemoMigration, DemoResult } from "./result.ts";
import type { Stage } from "./stage.ts";

export interface StoryOptions extends ControlPlanePlace {
  readonly providers: number;
}

export interface ToldStory {
  readonly result: DemoResult;
  readonly control: DemoControlPlane;
}

/** Guests that run at once; more of them on two cores of emulation only wait for each other. */
const maxRunning = 6;
const project = "demo";
const parseInstance = parserOf(kinds.Instance.spec, "instance");

/** The reason that Skerry exists, told by doing it. @throws SkerryError where a chapter fails; the caller strikes the stage */
export async function tellStory(
  stage: Stage,
  narrator: Narrator,
  options: StoryOptions,
  signal: AbortSignal,
  onControl: (control: DemoControlPlane) => void,
): Promise<ToldStory> {
  const cast = demoProviders.slice(0, options.providers);
  await rm(options.dataDir, { recursive: true, force: true });
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const { address } = await stage.build(narrator, cast, signal);
  const control = await narrator.chapter("One control plane, with its own authority and an administrator's token", () =>
    startControlPlane(options, address, signal),
  );
  onControl(control);
  const { client } = control;
  await narrator.chapter(
    `${cast.length} providers in ${new Set(cast.map((entry) => entry.country)).size} countries, a site each; an image and a network for all`,
    async () => {
      await register(client, stage, cast, signal);
      await uploadImage(client, stage.imageFile(), signal);
      await client.put("Network", { project, name: "lan" }, { spec: { cidr: "10.100.0.0/24" } }, {}, signal);
    },
  );
  const provisioningFrom = performance.now();
  await narrator.chapter(
    stage.simulated ? "Simulated hosts join as nodes" : "Bare hosts become nodes, over SSH, in parallel",
    (progress) => bounded(cast, 4, (entry, index) => stage.addNode(control, entry, index, progress, signal)),
  );
  const provisioningMs = Math.round(performance.now() - provisioningFrom);
  const instances = await narrator.chapter("The same workload, unchanged, at every provider", (progress) =>
    deployEverywhere(client, cast, progress, signal),
  );
  for (const instance of instances)
    narrator.say(
      `${instance.name} answers HTTP from ${instance.country} (${instance.accelerator}), ${formatDuration(instance.bootMs)} after its start`,
    );
  const migration = await narrator.chapter(
    "One of them moves to another provider, with its disk, its name and its address",
    (progress) => moveOne(client, cast, progress, signal),
  );
  narrator.say(
    `${formatBytes(migration.bytes)} copied node to node; ${formatDuration(migration.downtimeMs)} without service; data ${migration.dataKept ? "kept" : "LOST"}, address ${migration.addressKept ? "kept" : "LOST"}`,
  );
  const nodes = await client.listAll("Node", {}, signal);
  const ok =
    instances.every((instance) => instance.httpOk) &&
    migration.digestEqual &&
    migration.dataKept &&
    migration.addressKept;
  const result: DemoResult = {
    ok,
    simulated: stage.simulated,
    totalMs: Math.round(narrator.elapsedMs()),
    providers: (await client.listAll("Provider", {}, signal)).length,
    sites: (await client.listAll("Site", {}, signal)).length,
    nodes: nodes.filter((node) => node.status.connected).length,
    provisioningMs,
    instances: instances.map((instance) => whereItIsNow(instance, cast, migration)),
    migration,
    versions: { skerry: version(), node: process.versions.node, ...nodes[0]?.status.facts?.versions },
  };
  return { result, control };
}

async function register(
  client: Client,
  stage: Stage,
  cast: readonly DemoProvider[],
  signal: AbortSignal,
): Promise<void> {
  await client.put("Organisation", { name: "demo" }, { spec: {} }, {}, signal);
  await client.put("Project", { name: project }, { spec: { organisation: "demo" } }, {}, signal);
  for (const entry of cast) {
    const spec = parserOf(kinds.Provider.spec, "provider")(await stage.providerSpec(entry));
    await client.put("Provider", { name: entry.provider }, { spec }, {}, signal);
    const { provider, country, city, latitude, longitude, tier } = entry;
    await client.put(
      "Site",
      { name: entry.site },
      { spec: { provider, country, city, latitude, longitude, tier } },
      {},
      signal,
    );
  }
}

async function uploadImage(client: Client, file: string, signal: AbortSignal): Promise<void> {
  const key = { project, name: "islet" };
  const spec = await imageFlags.spec(
    { file, format: file.endsWith(".raw") ? "raw" : "qcow2", architecture: "x86_64" },
    signal,
  );
  await client.put("Image", key, { spec }, {}, signal);
  await client.uploadImage(
    key,
    Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>,
    spec.sizeBytes,
    signal,
  );
}

/** The workload: but for the provider, every spec is the same. */
function workload(provider: string): InstanceResource["spec"] {
  return parseInstance({
    image: "islet",
    vcpus: 1,
    memoryMiB: 96,
    networks: ["lan"],
    healthCheck: { kind: "http", port: 80, path: "/" },
    placement: { providers: [provider] },
  });
}

async function deployEverywhere(
  client: Client,
  cast: readonly DemoProvider[],
  progress: Progress,
  signal: AbortSignal,
): Promise<DemoInstance[]> {
  const lines = new Map<string, ProgressLine>();
  const show = (name: string, operation: OperationResource): void => {
    const current = stepLines(operation, Date.now()).findLast((line) => line.state !== "waiting");
    lines.set(name, {
      label: name,
      state:
        operation.status.endedAt === undefined ? "running" : operation.status.state === "succeeded" ? "done" : "failed",
      message: current?.label,
      elapsedMs: Date.now() - Date.parse(operation.metadata.createdAt),
    });
    progress.update([...lines.values()]);
  };
  const seen: DemoInstance[] = [];
  for (let from = 0; from < cast.length; from += maxRunning) {
    const wave = cast.slice(from, from + maxRunning);
    await Promise.all(
      wave.map(async (entry) => {
        const key = { project, name: `web-${entry.site}` };
        await finished(
          client,
          await client.put("Instance", key, { spec: workload(entry.provider) }, {}, signal),
          (operation) => show(key.name, operation),
          signal,
        );
        seen.push(await witness(client, key, entry, signal));
      }),
    );
    // The mover and its target's neighbour stay; the rest makes room for the next wave.
    if (from + maxRunning < cast.length) {
      await Promise.all(
        wave
          .slice(from === 0 ? 1 : 0)
          .map(async (entry) =>
            finished(
              client,
              await client.action("Instance", { project, name: `web-${entry.site}` }, "stop", {}, {}, signal),
              () => undefined,
              signal,
            ),
          ),
      );
    }
  }
  const order = cast.map((entry) => `web-${entry.site}`);
  return seen.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

async function witness(
  client: Client,
  key: ResourceKey,
  entry: DemoProvider,
  signal: AbortSignal,
): Promise<DemoInstance> {
  const greeting = await guestGet(client, key, "/", signal);
  const { metadata, status } = await client.get("Instance", key, signal);
  return {
    name: key.name,
    provider: entry.provider,
    country: entry.country,
    driver: status.driver ?? "unknown",
    accelerator: status.accelerator ?? "unknown",
    // Guests tell the instance id that their seed gave them.
    httpOk: greeting.includes(metadata.id),
    bootMs: status.bootMs ?? -1,
  };
}

function whereItIsNow(instance: DemoInstance, cast: readonly DemoProvider[], { to }: DemoMigration): DemoInstance {
  const target = cast.find(({ provider }) => provider === to);
  const hasMoved = instance.name === `web-${cast[0]?.site}` && target !== undefined;
  return hasMoved ? { ...instance, provider: target.provider, country: target.country } : instance;
}

async function moveOne(
  client: Client,
  cast: readonly DemoProvider[],
  progress: Progress,
  signal: AbortSignal,
): Promise<DemoMigration> {
  const [from, to] = cast;
  if (from === undefined || to === undefined)
    throw new SkerryError("invalid-request", "A move needs two providers.", { remedy: "Give --providers 2 or more." });
  const key = { project, name: `web-${from.site}` };
  const before = await look(client, key, signal);
  // Constraints hold at every move, too: its owner has to allow the second provider first.
  await client.patch("Instance", key, { spec: { placement: { providers: [from.provider, to.provider] } } }, {}, signal);
  const operation = await finished(
    client,
    await client.action("Instance", key, "migrate", { toProvider: to.provider }, {}, signal),
    (seen) => progress.update(stepLines(seen, Date.now())),
    signal,
  );
  const after = await look(client, key, signal);
  const result = operation.status.result ?? {};
  return {
    from: from.provider,
    to: to.provider,
    downtimeMs: Number(result["downtimeMs"] ?? -1),
    bytes: Number(result["bytes"] ?? -1),
    digestEqual: result["sourceDigest"] !== undefined && result["sourceDigest"] === result["targetDigest"],
    dataKept: before.mark === after.mark && after.tick >= before.tick,
    addressKept: before.address !== undefined && before.address === after.address && before.node !== after.node,
  };
}

async function look(client: Client, key: ResourceKey, signal: AbortSignal) {
  const mark = await guestGet(client, key, "/data", signal);
  const tick = Number(/\d+/.exec(await guestGet(client, key, "/tick", signal))?.[0] ?? Number.NaN);
  const { status, assignment } = await client.get("Instance", key, signal);
  return { mark, tick, address: status.addresses[0]?.address, node: assignment?.node };
}

/** Waits for a mutation's operation. @throws SkerryError with its problem where it failed */
async function finished<K extends "Instance">(
  client: Client,
  mutation: Mutation<K>,
  onChange: (operation: OperationResource) => void,
  signal: AbortSignal,
): Promise<OperationResource> {
  if (mutation.operation === undefined) throw new SkerryError("internal", "The change started no operation.");
  const ended = await client.waitForOperation(mutation.operation.metadata.name, onChange, signal);
  onChange(ended);
  if (ended.status.problem !== undefined) throw fromProblem(ended.status.problem);
  return ended;
}

/** Runs `work` over all entries, at most `limit` at a time; the first failure ends it once those that run have ended. */
async function bounded<T>(
  entries: readonly T[],
  limit: number,
  work: (entry: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = entries.entries();
  const worker = async (): Promise<void> => {
    for (const [index, entry] of queue) await work(entry, index);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: limit }, worker));
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) throw failure.reason;
}

export const demoServerLog = (dataDir: string): string => join(dataDir, "server.log");
