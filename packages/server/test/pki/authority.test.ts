import assert from "node:assert/strict";
import { X509Certificate, createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, unlink, chmod } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, createServer, type ConnectionOptions, type TLSSocket } from "node:tls";
import { SkerryError } from "@skerry/model";
import { openAuthority, type Authority } from "../../src/pki/authority.ts";

const dayMs = 86_400_000;
const nodeId = "nod_01arz3ndektsv4rrffq69g5fav";

function ed25519(): { readonly key: string; readonly publicKey: string } {
  const pair = generateKeyPairSync("ed25519");
  return {
    key: String(pair.privateKey.export({ format: "pem", type: "pkcs8" })),
    publicKey: pair.publicKey.export({ format: "der", type: "spki" }).toString("base64"),
  };
}

describe("the zone's authority", { timeout: 60_000 }, () => {
  let directory: string;
  let authority: Authority;
  let nowMs = Date.now();
  const open = (): Promise<Authority> => openAuthority(join(directory, "pki"), () => nowMs);
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "skerry-pki-"));
    authority = await open();
  });
  after(() => rm(directory, { recursive: true }));

  const leafOf = (chain: string): X509Certificate => new X509Certificate(chain);

  test("is made once, and its keys can be read by their owner only", async () => {
    assert.equal((await open()).certificate, authority.certificate);
    await authority.serverPair([]);
    for (const name of ["ca.key", "ca.pem", "server.key", "server.pem"]) {
      assert.equal((await stat(join(directory, "pki", name))).mode & 0o777, 0o600, name);
    }
    assert.equal((await stat(join(directory, "pki"))).mode & 0o777, 0o700);
    const der = new X509Certificate(await readFile(authority.certificateFile)).raw;
    assert.equal(authority.fingerprint, createHash("sha256").update(der).digest("hex"));
  });

  test("gives the server a certificate for its names, and a new one when a name is missing or its end is near", async () => {
    const first = await authority.serverPair(["cp.example.org", "192.0.2.7", "2001:db8::1"]);
    const leaf = leafOf(first.certificate);
    for (const name of ["cp.example.org", "localhost"]) assert.ok(leaf.checkHost(name), name);
    for (const address of ["192.0.2.7", "127.0.0.1", "::1", "2001:db8::1"]) assert.ok(leaf.checkIP(address), address);
    assert.equal(leaf.checkHost("other.example.org"), undefined);

    assert.equal((await authority.serverPair(["cp.example.org"])).certificate, first.certificate);
    const more = await authority.serverPair(["cp.example.org", "other.example.org"]);
    assert.ok(leafOf(more.certificate).checkHost("other.example.org"));
    nowMs += 320 * dayMs;
    const renewed = await authority.serverPair(["other.example.org"]);
    assert.notEqual(renewed.certificate, more.certificate);
    nowMs -= 320 * dayMs;
  });

  test("opens in Node's TLS with the authority alone trusted, and nodes speak TLS 1.3 with each other by their own keys", async () => {
    const [one, two, stranger] = [ed25519(), ed25519(), ed25519()];
    const certificate = await authority.issueNodeCertificate(one.publicKey, nodeId);
    const peer = await authority.issueNodeCertificate(two.publicKey, nodeId.replace("01a", "01b"));
    const elsewhere = await openAuthority(join(directory, "other"), () => nowMs);
    const foreign = await elsewhere.issueNodeCertificate(stranger.publicKey, nodeId);

    const server = createServer({
      key: one.key,
      cert: certificate,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
    });
    server.on("tlsClientError", () => undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const dial = (options: ConnectionOptions): TLSSocket =>
      connect({
        host: "127.0.0.1",
        port: (server.address() as AddressInfo).port,
        ca: authority.certificate,
        servername: nodeId,
        ...options,
      });

    const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
    const client = dial({ key: two.key, cert: peer });
    await once(client, "secureConnect");
    const [socket] = await accepted;
    assert.equal(client.getProtocol(), "TLSv1.3");
    assert.equal(client.getPeerCertificate().subject.CN, nodeId);
    assert.ok(socket.authorized);
    client.destroy();
    socket.destroy();

    let strangers = 0;
    server.on("secureConnection", () => (strangers += 1));
    for (const options of [{}, { key: stranger.key, cert: foreign }]) {
      const refused = dial(options).resume();
      // With TLS 1.3 the client may hear of it as an error or as an end.
      refused.on("error", () => undefined);
      await new Promise((resolve) => refused.once("close", resolve));
    }
    assert.equal(strangers, 0);
    server.close();
  });

  test("is trusted for servers by Node's own check, chain and names", async () => {
    const pair = await authority.serverPair([]);
    const server = createServer({ key: pair.key, cert: pair.certificate }, (socket) => socket.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect({
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
      ca: authority.certificate,
    });
    await once(socket, "secureConnect");
    assert.ok(socket.authorized);
    const chain = socket.getPeerX509Certificate();
    assert.equal(
      createHash("sha256")
        .update(chain?.issuerCertificate?.raw ?? "")
        .digest("hex"),
      authority.fingerprint,
      "the chain ends with the authority",
    );
    socket.destroy();
    server.close();
  });

  test("issues nothing for keys that are not Ed25519", async () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const text = publicKey.export({ format: "der", type: "spki" }).toString("base64");
    for (const key of [text, "", "AAAA", `${ed25519().publicKey}AAAA`]) {
      await assert.rejects(
        authority.issueNodeCertificate(key, nodeId),
        (error) => error instanceof SkerryError && error.code === "invalid-request",
      );
    }
  });

  test("does not start with a key that others may read, nor without the key of a certificate that is in use", async () => {
    const isUnavailable = (error: unknown): boolean =>
      error instanceof SkerryError && error.code === "unavailable" && error.remedy !== undefined;
    const key = join(directory, "pki", "ca.key");
    await chmod(key, 0o640);
    await assert.rejects(open(), isUnavailable);
    await chmod(key, 0o600);
    await unlink(key);
    await assert.rejects(open(), isUnavailable);
  });
});
