import type { Algorithms } from "ssh2";
import { hostKeyFamilies, type HostKeyAlgorithm } from "./host-key.ts";

/** What Debian 12 and newer speak by default, less everything that rests on SHA-1, CBC or short groups. */
export function modernAlgorithms(hostKeys: readonly HostKeyAlgorithm[] = hostKeyFamilies.flat()): Algorithms {
  return {
    kex: [
      "curve25519-sha256",
      "curve25519-sha256@libssh.org",
      "ecdh-sha2-nistp256",
      "ecdh-sha2-nistp384",
      "ecdh-sha2-nistp521",
      "diffie-hellman-group16-sha512",
      "diffie-hellman-group18-sha512",
    ],
    serverHostKey: [...hostKeys],
    // GCM runs in the processor and needs no MAC: several times the speed of the others here.
    cipher: [
      "aes128-gcm@openssh.com",
      "aes256-gcm@openssh.com",
      "chacha20-poly1305@openssh.com",
      "aes128-ctr",
      "aes256-ctr",
    ],
    hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
    // What is sent is compressed already.
    compress: ["none"],
  };
}
