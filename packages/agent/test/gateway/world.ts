import { join } from "node:path";
import type { ObservedInstance, ObservedState, ObservedVolume, WantedPeer, WantedState } from "@skerry/protocol";
import { readSimulatedRuns } from "../../src/drivers/compute/simulated-runs.ts";
import type { SimulatedRun } from "../../src/drivers/compute/simulated-runs.ts";
import { joinAgent } from "../../src/join/join-agent.ts";
import type { AgentOptions } from "../../src/options.ts";
import { eventually } from "../contract/deadline.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { AgentProcess } from "./agent-process.ts";
import { freePort } from "./free-port.ts";
import { TestGateway } from "./test-gateway.ts";
import { wantedPeer, wish } from "./wishes.ts";

/** One agent as a process of its own, and what the gateway knows of it. */
export class TestNode {
  readonly nodeId: string;
  readonly agent: AgentProcess;
  readonly #gateway: TestGateway;
  readonly #port: number;

  constructor(nodeId: string, agent: AgentProcess, port: number, gateway: TestGateway) {
    this.nodeId = nodeId;
    this.agent = agent;
    this.#port = port;
    this.#gateway = gateway;
  }

  want(parts: Partial<Omit<WantedState, "revision" | "node">>): void {
    this.#gateway.want(this.nodeId, wish(this.nodeId, parts));
  }

  /** Its last report, whatever it answers to. */
  get observed(): ObservedState | undefined {
    return this.#gateway.node(this.nodeId).observed;
  }

  /** What it said of a volume in answer to what it was last sent. */
  volume(id: string): ObservedVolume | undefined {
    return this.#gateway.answered(this.nodeId)?.volumes.find((each) => each.id === id);
  }

  instance(id: string): ObservedInstance | undefined {
    return this.#gateway.answered(this.nodeId)?.instances.find((each) => each.id === id);
  }

  /** It as other nodes know it. */
  get peer(): WantedPeer {
    return wantedPeer(this.nodeId, this.#gateway.node(this.nodeId).publicKey, `127.0.0.1:${this.#port}`);
  }

  /** What is in its data folder. */
  path(...names: readonly string[]): string {
    return join(this.agent.options.dataFolder, ...names);
  }

  runs(instanceId: string): readonly SimulatedRun[] {
    return readSimulatedRuns(this.path("simulated", "runs")).get(instanceId) ?? [];
  }
}

export interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly nodes: readonly TestNode[];
}

/** A gateway and joined agents with simulated drivers, linked; everything goes with the scope. */
export async function openWorld(count: number, change: Partial<AgentOptions> = {}): Promise<World> {
  await using undo = new AsyncDisposableStack();
  const gateway = await TestGateway.open();
  undo.defer(() => gateway.vanish());
  const nodes: TestNode[] = [];
  for (let index = 0; index < count; index += 1) {
    const folder = undo.use(await temporaryFolder());
    const token = gateway.joinToken();
    const { nodeId } = await joinAgent(
      { dataFolder: folder.path, server: gateway.url, token },
      AbortSignal.timeout(20_000),
    );
    const dataPort = await freePort();
    const agent = await AgentProcess.make({
      dataFolder: folder.path,
      driver: "simulated",
      dataAddress: "127.0.0.1",
      listenAddress: "127.0.0.1",
      dataPort,
      pollMs: 1000,
      reconnect: { quickMs: 20, goodMs: 100, minMs: 50, maxMs: 300, refusedMs: 300 },
      simulated: { bootMs: 50, shutdownMs: 50 },
      ...change,
    });
    agent.start();
    undo.defer(async () => void (await agent.end("SIGKILL")));
    nodes.push(new TestNode(nodeId, agent, dataPort, gateway));
  }
  await eventually("all agents report", () => nodes.every((node) => node.observed !== undefined), 20_000);
  const kept = undo.move();
  return { gateway, nodes, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The only node of a world. */
export function onlyNode(world: World): TestNode {
  const [node] = world.nodes;
  if (node === undefined) throw new Error("this world has no node");
  return node;
}
