import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import ssh2 from "ssh2";
import { makeSshKey } from "./ssh-key.ts";
import { parsePrivateKey } from "../src/private-key.ts";

const { generateKeyPairSync: makeKey } = ssh2.utils;

function refuses(text: string, message: RegExp): void {
  assert.throws(() => parsePrivateKey(text), { code: "invalid-request", message });
}

describe("a private key", () => {
  test("is read in OpenSSH's formats", () => {
    assert.equal(parsePrivateKey(makeSshKey("ed25519").private).type, "ssh-ed25519");
    assert.equal(parsePrivateKey(makeSshKey("ecdsa").private).type, "ecdsa-sha2-nistp256");
    assert.equal(parsePrivateKey(makeSshKey("rsa").private).type, "ssh-rsa");
    const pem = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs1", format: "pem" })
      .toString();
    assert.equal(parsePrivateKey(pem).type, "ssh-rsa");
  });

  test("with a passphrase is refused as such, in every format", () => {
    const sealed = { cipher: "aes256-ctr", passphrase: "secret", rounds: 1 } as const;
    refuses(makeKey("ed25519", sealed).private, /passphrase/);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    refuses(
      privateKey.export({ type: "pkcs1", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" }).toString(),
      /passphrase/,
    );
    refuses(
      privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" }).toString(),
      /passphrase/,
    );
  });

  test("that is none, or half of one, is refused", () => {
    refuses("", /cannot be read/);
    refuses("hunter2", /cannot be read/);
    refuses(makeSshKey("ed25519").private.slice(0, 120), /cannot be read/);
  });

  test("that is a public key is refused as such", () => {
    refuses(makeSshKey("ed25519").public, /only a public key/);
  });

  test("that is too short is refused", () => {
    refuses(makeKey("rsa", { bits: 1024 }).private, /too weak/);
  });
});
