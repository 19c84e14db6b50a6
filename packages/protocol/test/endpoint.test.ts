import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatEndpoint, isOverlayPublicKey, parseEndpoint } from "@skerry/protocol";
import "@skerry/testkit/seed";

describe("endpoints", () => {
  const port = fc.integer({ min: 1, max: 65_535 });

  test("give back the host and port that they were made of", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port, (host, number) => {
        assert.deepEqual(parseEndpoint(formatEndpoint(host, number)), { host, port: number });
      }),
    );
  });

  test("are nothing else: no words, options, brackets left open or ports that there are not", () => {
    const none = [
      "",
      "host",
      ":1",
      "host:",
      "host:0",
      "host:65536",
      "host:1 peer x",
      "-h:1",
      "[::1:1",
      "a b:1",
      "h:1\n",
    ];
    for (const text of [...none, "fe80::1:1", "[fe80::1%eth0]:1", "[]:1", "h;x:1"])
      assert.equal(parseEndpoint(text), undefined, JSON.stringify(text));
  });
});

test("a WireGuard key is 44 characters of base64, the last of them a sign of equality", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      assert.ok(isOverlayPublicKey(Buffer.from(bytes).toString("base64")));
    }),
  );
  for (const text of ["", "a".repeat(44), `-${"a".repeat(42)}=`, `${"a".repeat(43)}=\n`])
    assert.ok(!isOverlayPublicKey(text), JSON.stringify(text));
});
