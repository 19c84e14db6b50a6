import { request } from "node:https";
import { SkerryError, Problem, fromProblem, parserOf } from "@skerry/model";
import { JoinResponse, joinPath } from "@skerry/protocol";
import type { JoinRequest } from "@skerry/protocol";
import { hostAndPort } from "../server-address.ts";

const requestMs = 30_000;
/** Longest answer that is read. */
const maxAnswerBytes = 256 * 1024;

const parseResponse = parserOf(JoinResponse, "server's answer to the join", "protocol-mismatch");
const parseProblem = parserOf(Problem, "server's answer to the join", "protocol-mismatch");

/** Asks the server, verified by its authority and host name, to let this node join. @throws SkerryError as the server did */
export async function requestJoin(
  server: URL,
  authority: string,
  body: JoinRequest,
  signal: AbortSignal,
): Promise<JoinResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const sent = request({
    ...hostAndPort(server),
    method: "POST",
    path: joinPath,
    headers: { "content-type": "application/json" },
    ca: [authority],
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]),
  });
  sent.once("error", reject);
  sent.once("response", (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > maxAnswerBytes) response.destroy(new Error("the answer is too long"));
    });
    response.once("error", reject);
    response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
  });
  sent.end(JSON.stringify(body));
  let answer: { status: number; text: string };
  try {
    answer = await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw new SkerryError(
      "host-unreachable",
      `The server ${server.host} did not answer the join: ${error instanceof Error ? error.message : String(error)}`,
      {
        remedy:
          "Check the address: it must be one that the server's certificate is for (its --advertise). The token can be used again.",
        cause: error,
      },
    );
  }
  const value = parseJson(answer.text);
  if (answer.status === 200 || answer.status === 201) return parseResponse(value);
  throw fromProblem(parseProblem(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON is one way of not being an answer; the parser's error says it.
  }
}
