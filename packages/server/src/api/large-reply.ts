import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";

/** From here on a reply goes out in parts. */
const largeBytes = 256 * 1024;
const partBytes = 128 * 1024;
/** Buffers for replies that are kept for the next ones: so many, and none larger. */
const keptBuffers = 2;
const keptBytes = 4 * 1024 * 1024;

const spare: Buffer[] = [];

/** A buffer for a reply of this length; one that is large may have served before. To be given to `sendJson`. */
export function replyBuffer(bytes: number): Buffer {
  if (bytes < largeBytes) return Buffer.allocUnsafe(bytes);
  const index = spare.findIndex((buffer) => buffer.length >= bytes);
  const [known] = index === -1 ? [] : spare.splice(index, 1);
  // A power of two, so that replies of about the same length fit; slow ones come with memory of their own.
  const whole = known ?? Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
  return whole.subarray(0, bytes);
}

/**
 * Sends JSON. A large one in parts, each once the one before it was taken by the system: so the peer decrypts what it has while the
 * next is encrypted, and never more than a part is held encrypted. The buffer is the reply's own until it is sent, then another's.
 */
export function sendJson(reply: FastifyReply, json: Uint8Array): FastifyReply {
  void reply.type("application/json; charset=utf-8");
  if (json.length < largeBytes) return reply.send(json);
  // Where the connection ends before, the system may still hold the buffer, and it is left to the garbage collector.
  reply.raw.once("finish", () => keep(json));
  return reply.header("content-length", json.length).send(Readable.from(partsOf(json)));
}

function* partsOf(json: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < json.length; at += partBytes) yield json.subarray(at, at + partBytes);
}

function keep(json: Uint8Array): void {
  if (json.buffer.byteLength > keptBytes || spare.length >= keptBuffers) return;
  spare.push(Buffer.from(json.buffer));
}
