import { XdrReader, XdrWriter } from "./xdr.ts";

/*
 * libvirt's RPC, as its own clients speak it over the daemon's UNIX socket: a length, a header of six words, a payload in
 * XDR. Numbers once given never change, since clients and daemons of different versions talk; those used here are all
 * older than libvirt 1.3 (2015). Source: "libvirt RPC infrastructure" in its documentation.
 */

/** `REMOTE_PROGRAM`: libvirt's public calls. */
const program = 0x20_00_80_86;
const version = 1;

/** The calls that the driver makes, and the event that it hears. */
export const procedures = {
  open: 1,
  getVersion: 4,
  destroy: 12,
  lookupByName: 23,
  authList: 66,
  getLibVersion: 157,
  createWithFlags: 196,
  undefineFlags: 231,
  shutdownFlags: 258,
  getMetadata: 265,
  registerEvent: 316,
  lifecycleEvent: 318,
  getAllDomainStats: 344,
  defineXmlFlags: 350,
} as const;
export type Procedure = keyof typeof procedures;

const headerBytes = 28;
/** `VIR_NET_MESSAGE_MAX`: a longer message is none of libvirt's. */
const maxMessageBytes = 32 * 1024 * 1024;

const typeCall = 0;
const typeReply = 1;
const typeEvent = 2;
const statusOk = 0;

export interface RpcMessage {
  readonly kind: "reply" | "event" | "other";
  readonly procedure: number;
  readonly serial: number;
  readonly ok: boolean;
  readonly payload: Buffer;
}

export function encodeCall(procedure: Procedure, serial: number, payload: Uint8Array): Buffer {
  const header = new XdrWriter()
    .uint(headerBytes + payload.length)
    .uint(program)
    .uint(version)
    .int(procedures[procedure])
    .int(typeCall)
    .uint(serial)
    .int(statusOk);
  return Buffer.concat([header.bytes(), payload]);
}

/** Cuts a stream of bytes into messages; throws a RangeError for what can't be libvirt's. */
export class MessageSplitter {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly RpcMessage[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const messages: RpcMessage[] = [];
    while (this.#pending.length >= 4) {
      const length = this.#pending.readUInt32BE();
      if (length < headerBytes || length > maxMessageBytes) throw new RangeError(`a message of ${length} bytes`);
      if (this.#pending.length < length) break;
      messages.push(decode(this.#pending.subarray(4, length)));
      this.#pending = this.#pending.subarray(length);
    }
    return messages;
  }
}

function decode(bytes: Buffer): RpcMessage {
  const reader = new XdrReader(bytes);
  const ours = reader.uint() === program && reader.uint() === version;
  const procedure = reader.int();
  const type = reader.int();
  const serial = reader.uint();
  const ok = reader.int() === statusOk;
  const kind = !ours ? "other" : type === typeReply ? "reply" : type === typeEvent ? "event" : "other";
  return { kind, procedure, serial, ok, payload: bytes.subarray(headerBytes - 4) };
}
