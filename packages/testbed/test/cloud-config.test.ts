import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import "@skerry/testkit/seed";

const parser = fileURLToPath(new URL("../src/islet/cloud-config.awk", import.meta.url));

/** What the guest's parser makes of one file, as [path, value] lines without the file's name. */
async function flatten(text: string): Promise<readonly (readonly [string, string])[]> {
  const directory = await mkdtemp(join(tmpdir(), "cloud-config-"));
  try {
    await writeFile(join(directory, "d"), text);
    const { stdout } = await promisify(execFile)("awk", ["-f", parser, join(directory, "d")], {
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const at = line.indexOf("\t");
        return [line.slice(2, at), line.slice(at + 1)] as const;
      });
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe("the islet's reading of cloud-init's files", () => {
  test("block maps and lists, flow lists, comments, quotes and block scalars", async () => {
    const text = `#cloud-config
# a comment
ssh_authorized_keys:
- ssh-ed25519 AAAA me@here   # trailing
runcmd:
  - echo "a b" > /tmp/x
  - [sh, -c, "echo 'hi, there'"]
  - - ls
    - '-l'
write_files:
  - path: /etc/motd
    permissions: '0644'
    content: |
      hello
        world: 1

      end
  - {path: /x, content: "a\\nb\\\\c"}
`;
    assert.deepEqual(await flatten(text), [
      ["ssh_authorized_keys.0", "ssh-ed25519 AAAA me@here"],
      ["runcmd.0", 'echo "a b" > /tmp/x'],
      ["runcmd.1.0", "sh"],
      ["runcmd.1.1", "-c"],
      ["runcmd.1.2", "echo 'hi, there'"],
      ["runcmd.2.0", "ls"],
      ["runcmd.2.1", "-l"],
      ["write_files.0.path", "/etc/motd"],
      ["write_files.0.permissions", "0644"],
      ["write_files.0.content", "hello\\n  world: 1\\n\\nend\\n"],
      ["write_files.1.path", "/x"],
      ["write_files.1.content", "a\\nb\\\\c"],
    ]);
  });

  test("network configuration version 2 as block YAML", async () => {
    const text = `network:
  version: 2
  ethernets:
    nic0:
      match: {macaddress: "52:54:00:00:00:01"}
      addresses:
      - 10.1.0.2/24
      - "fd00::2/64"
      routes:
        - to: 0.0.0.0/0
          via: 10.1.0.1
      mtu: 1370
`;
    assert.deepEqual(await flatten(text), [
      ["network.version", "2"],
      ["network.ethernets.nic0.match.macaddress", "52:54:00:00:00:01"],
      ["network.ethernets.nic0.addresses.0", "10.1.0.2/24"],
      ["network.ethernets.nic0.addresses.1", "fd00::2/64"],
      ["network.ethernets.nic0.routes.0.to", "0.0.0.0/0"],
      ["network.ethernets.nic0.routes.0.via", "10.1.0.1"],
      ["network.ethernets.nic0.mtu", "1370"],
    ]);
  });

  test("any JSON document of objects, lists and ASCII texts, compact or indented", async () => {
    const ascii = fc.string({ unit: "binary-ascii" }).map((text) => text.replace(/[^\x20-\x7e\n]/g, ""));
    const key = fc.stringMatching(/^[a-z_]{1,8}$/);
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, ascii, tie("list"), tie("map")),
      list: fc.array(tie("value"), { maxLength: 4 }),
      map: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    }));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(key, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
        fc.boolean(),
        async (document, indented) => {
          const wanted: (readonly [string, string])[] = [];
          const walk = (node: unknown, path: string): void => {
            if (typeof node === "string") wanted.push([path, node.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")]);
            else if (typeof node === "object" && node !== null)
              for (const [name, inner] of Object.entries(node)) walk(inner, path === "" ? name : `${path}.${name}`);
          };
          walk(document, "");
          assert.deepEqual(await flatten(JSON.stringify(document, undefined, indented ? 2 : undefined)), wanted);
        },
      ),
      { numRuns: 60 },
    );
  });
});
