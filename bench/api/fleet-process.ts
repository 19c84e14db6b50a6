/**
 * The nodes of a zone as the server sees them: each linked by its own key, alive, and reporting its capacity. They take their
 * wanted states and carry nothing out, so that what is measured is the server. Started with NODE_EXTRA_CA_CERTS, the zone's authority.
 */
import { sign } from "node:crypto";
import { encodeMessage, helloPayload, linkPath, protocolVersion, type AgentMessage } from "@skerry/protocol";
import { facts, type FleetNode } from "./fixture.ts";

export interface FleetTask {
  readonly port: number;
  readonly nodes: readonly FleetNode[];
}

async function link({ port }: FleetTask, node: FleetNode): Promise<void> {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${linkPath}`);
  const send = (message: AgentMessage): void => socket.send(encodeMessage(message));
  const report = (): void =>
    send({
      type: "observed",
      state: { wantedRevision: 0, facts: facts(node.name), networks: [], volumes: [], instances: [] },
    });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("close", () => reject(new Error(`the link of ${node.name} has ended`)));
    socket.addEventListener("message", ({ data }) => {
      // A wanted state may be long, and nothing here needs it read.
      const text = String(data);
      if (text.slice(0, 40).includes('"wanted"')) return;
      const message = JSON.parse(text) as { type: string; nonce: string };
      if (message.type === "challenge") {
        const signature = sign(null, helloPayload(message.nonce, node.id), node.privateKey).toString("base64");
        send({ type: "hello", nodeId: node.id, protocolVersion, agentVersion: "0", signature, wantedRevision: 0 });
      } else if (message.type === "welcome") {
        report();
        resolve();
      } else if (message.type === "ping") {
        send({ type: "pong" });
        report();
      } else if (message.type === "refused") reject(new Error(text));
    });
  });
}

process.once("message", (task: FleetTask) => {
  void (async () => {
    for (const node of task.nodes) await link(task, node);
    process.send?.("linked");
  })();
});
