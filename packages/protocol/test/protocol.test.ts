import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SkerryError, makeId } from "@skerry/model";
import {
  decodeAgentMessage,
  decodeServerMessage,
  encodeMessage,
  formatJoinToken,
  helloPayload,
  maxOverlayIndex,
  overlayAddress,
  parseJoinToken,
} from "@skerry/protocol";
import "@skerry/testkit/seed";

const id = makeId("jtk", 1, new Uint8Array(10));

describe("messages", () => {
  test("arbitrary text is refused with an error and never accepted or crashed on", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        assert.throws(() => decodeAgentMessage(text), SkerryError);
        assert.throws(() => decodeServerMessage(text), SkerryError);
      }),
    );
  });

  test("a message survives encoding", () => {
    const message = { type: "welcome", sessionToken: "s", heartbeatMs: 5000 } as const;
    assert.deepEqual(decodeServerMessage(encodeMessage(message)), message);
  });

  test("a message of the other side is refused", () => {
    assert.throws(
      () => decodeAgentMessage(encodeMessage({ type: "welcome", sessionToken: "s", heartbeatMs: 5000 })),
      SkerryError,
    );
  });

  test("what is signed differs by nonce and by node", () => {
    const texts = [helloPayload("a", "n"), helloPayload("b", "n"), helloPayload("a", "m")].map((bytes) =>
      Buffer.from(bytes).toString(),
    );
    assert.equal(new Set(texts).size, 3);
  });
});

describe("overlay addresses", () => {
  test("are distinct, and within 100.64.0.0/10", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: maxOverlayIndex }),
        fc.integer({ min: 1, max: maxOverlayIndex }),
        (a, b) => {
          const [first = 0, second = 0] = overlayAddress(a).split(".").map(Number);
          assert.equal(first, 100);
          assert.ok(second >= 64 && second <= 127, overlayAddress(a));
          assert.equal(overlayAddress(a) === overlayAddress(b), a === b);
        },
      ),
    );
    assert.throws(() => overlayAddress(0), RangeError);
  });
});

describe("join tokens", () => {
  const secret = "A".repeat(43);
  const authorityFingerprint = "0a".repeat(32);

  test("give back what they were made of", () => {
    assert.deepEqual(parseJoinToken(formatJoinToken({ id, secret, authorityFingerprint })), {
      id,
      secret,
      authorityFingerprint,
    });
  });

  test("anything else is not a token", () => {
    fc.assert(fc.property(fc.string(), (text) => parseJoinToken(text) === undefined));
    const token = formatJoinToken({ id, secret, authorityFingerprint });
    assert.equal(parseJoinToken(`${token}0`), undefined);
    assert.equal(parseJoinToken(`${token}\n`), undefined);
  });
});
