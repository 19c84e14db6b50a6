import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBase32, otpauthUri, stepOf, toBase32, totpCode, totpStep } from "../../src/sign-in/totp.ts";

const secret = Buffer.from("12345678901234567890");

describe("codes by time", () => {
  test("are those of RFC 6238", () => {
    // Appendix B, the last six digits of its eight.
    for (const [seconds, code] of [
      [59, "287082"],
      [1_111_111_109, "081804"],
      [1_111_111_111, "050471"],
      [1_234_567_890, "005924"],
      [2_000_000_000, "279037"],
      [20_000_000_000, "353130"],
    ] as const)
      assert.equal(totpCode(secret, totpStep(seconds * 1000)), code);
  });

  test("are taken one step early or late and no further, never twice, and as six digits alone", () => {
    const nowMs = 1_234_567_890_000;
    const now = totpStep(nowMs);
    for (const [step, taken] of [
      [now - 2, undefined],
      [now - 1, now - 1],
      [now, now],
      [now + 1, now + 1],
      [now + 2, undefined],
    ] as const)
      assert.equal(stepOf(secret, totpCode(secret, step), nowMs, -1), taken);
    const code = totpCode(secret, now);
    assert.equal(stepOf(secret, code, nowMs, now), undefined);
    assert.equal(stepOf(secret, totpCode(secret, now - 1), nowMs, now), undefined);
    assert.equal(stepOf(secret, `${code.slice(0, 3)} ${code.slice(3)}`, nowMs, -1), now);
    for (const odd of ["", code.slice(1), `${code}0`, `0${code}`, `${code}x`, "xxxxxx", ` ${code}`])
      assert.equal(stepOf(secret, odd, nowMs, -1), undefined, odd);
  });

  test("come of a secret that survives base32, as authenticator apps read it", () => {
    assert.equal(toBase32(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert.deepEqual(Buffer.from(fromBase32(toBase32(secret))), secret);
    assert.equal(
      otpauthUri("GEZDGNBV", "ana b", "Skerry"),
      "otpauth://totp/Skerry:ana%20b?secret=GEZDGNBV&issuer=Skerry",
    );
  });
});
