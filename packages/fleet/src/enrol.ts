import { generateKeyPairSync, sign } from "node:crypto";
import { request, type Agent } from "node:https";
import { text } from "node:stream/consumers";
import { SkerryError, parserOf } from "@skerry/model";
import { JoinResponse, joinPath, joinPayload, protocolVersion } from "@skerry/protocol";

/** What proves that a simulated node is the one that joined. */
export interface NodeIdentity {
  readonly nodeId: string;
  /** Ed25519, PKCS #8, PEM. */
  readonly privateKey: string;
}

const parseResponse = parserOf(JoinResponse, "answer to a join");

/** Joins as an agent does. @param agent trusts the zone's authority alone @throws SkerryError join-refused */
export async function enrol(server: string, agent: Agent, token: string, hostname: string): Promise<NodeIdentity> {
  const { privateKey, publicKey: spki } = generateKeyPairSync("ed25519", {
    publicKeyEncoding: { format: "der", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
  });
  const publicKey = spki.toString("base64");
  const signature = sign(null, joinPayload(token, publicKey), privateKey).toString("base64");
  const body = JSON.stringify({ protocolVersion, token, publicKey, signature, hostname });
  const answer = await post(new URL(joinPath, server), agent, body);
  if (answer.status !== 200 && answer.status !== 201)
    throw new SkerryError("join-refused", `${hostname} was not taken: ${answer.text.slice(0, 500)}`);
  return { nodeId: parseResponse(JSON.parse(answer.text)).nodeId, privateKey };
}

function post(url: URL, agent: Agent, body: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      text(response).then((all) => resolve({ status: response.statusCode ?? 0, text: all }), reject);
    });
    sent.on("error", (cause) =>
      reject(new SkerryError("unavailable", `${url.origin} does not answer: ${cause.message}`, { cause })),
    );
    sent.end(body);
  });
}
