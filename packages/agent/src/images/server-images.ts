import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import { SkerryError } from "@skerry/model";
import { imagePath } from "@skerry/protocol";
import type { Identity } from "../identity.ts";
import { hostAndPort } from "../server-address.ts";
import type { ImageSource } from "./image-source.ts";

const answerMs = 30_000;

/** Images from the server, authorised by the link's session. */
export function makeServerImages(identity: Identity, sessionToken: () => string | undefined): ImageSource {
  return {
    async open(digest, offset, signal) {
      const token = sessionToken();
      if (token === undefined)
        throw new SkerryError("node-disconnected", "The image is fetched once the server can be reached.");
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const sent = request({
        ...hostAndPort(new URL(identity.server)),
        path: imagePath + digest,
        headers: { authorization: `Bearer ${token}`, ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
        ca: [identity.authority],
        agent: false,
        timeout: answerMs,
        signal,
      });
      sent.once("response", resolve);
      sent.once("timeout", () => sent.destroy(new Error(`no answer within ${answerMs / 1000} s`)));
      sent.once("error", reject);
      sent.end();
      let answer: IncomingMessage;
      try {
        answer = await promise;
      } catch (error) {
        signal.throwIfAborted();
        throw new SkerryError(
          "host-unreachable",
          `The image cannot be fetched: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
      }
      answer.on("error", () => undefined);
      if (answer.statusCode === (offset === 0 ? 200 : 206) && begins(answer, offset)) return answer;
      answer.destroy();
      throw new SkerryError(
        "unavailable",
        `The server does not send the image ${digest} from byte ${offset} on (HTTP ${answer.statusCode ?? 0}).`,
      );
    },
  };
}

/** Whether a partial answer begins where it was asked to. */
function begins(answer: IncomingMessage, offset: number): boolean {
  return offset === 0 || answer.headers["content-range"]?.startsWith(`bytes ${offset}-`) === true;
}
