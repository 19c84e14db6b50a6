import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Client } from "@skerry/sdk";
import { createNodeClient } from "@skerry/sdk/node";
import { startServer, type RunningServer } from "@skerry/server";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/* The commands as their user types them, each a process of its own, against a server in this one. */
describe("the command line", { timeout: 400_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let client: Client;
  let environment: NodeJS.ProcessEnv;
  /** What is to be installed on hosts, which this server never has ready. */
  const agent = Promise.withResolvers<never>();

  async function skerry(
    ...words: readonly string[]
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment,
    });
    const [out, err] = await Promise.all([
      child.stdout.setEncoding("utf8").toArray(),
      child.stderr.setEncoding("utf8").toArray(),
      once(child, "close"),
    ]);
    return { code: child.exitCode ?? -1, out: out.join(""), err: err.join("") };
  }
  const done = async (...words: readonly string[]): Promise<string> => {
    const { code, out, err } = await skerry(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${err}`);
    return out;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-commands-"));
    environment = { ...process.env, NO_COLOR: "1", SKERRY_CONTEXTS: join(folder, "contexts.json") };
    server = await startServer(
      {
        dataDir: join(folder, "server"),
        listen: [{ host: "127.0.0.1", port: 0 }],
        advertise: [],
        version: "0.0.0-test",
        bundleAgent: () => agent.promise,
        writeLog: () => undefined,
      },
      new AbortController().signal,
    );
    const token = (await readFile(server.adminTokenFile, "utf8")).trim();
    client = createNodeClient({ server: server.url, token, authority: await readFile(server.caFile, "utf8") });
    await done(
      ...["context", "add", "home", "--server", server.url, "--token-file", server.adminTokenFile],
      ...["--authority", server.caFile, "--project", "lab"],
    );
    await client.put("Organisation", { name: "lab" }, { spec: {} });
    await client.put("Project", { name: "lab" }, { spec: { organisation: "lab" } });
    await client.put("Provider", { name: "hand" }, { spec: { driver: "manual", country: "ES" } });
    const site = { provider: "hand", country: "ES", latitude: 40, longitude: -3, tier: "cloud" } as const;
    await client.put("Site", { name: "cadiz" }, { spec: site });
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test("a site is cordoned, emptied and opened again, and its list says so", async () => {
    await done("site", "cordon", "cadiz");
    assert.match(await done("site", "list"), /CORDONED\n.*cadiz.*yes/);
    await done("site", "uncordon", "cadiz");
    assert.doesNotMatch(await done("site", "list"), /CORDONED/);
    assert.match(
      await done("site", "evacuate", "cadiz", "--plan"),
      /schedulable +false[\s\S]*0 to move, 0 B; 0 held up/,
    );
    assert.match(await done("site", "evacuate", "cadiz", "--on-blocked", "skip", "--wait"), /0 moved, 0 B; 0 left/);
    assert.equal((await client.get("Site", { name: "cadiz" })).spec.schedulable, false);
    await done("site", "uncordon", "cadiz");
  });

  test("an image that is created is uploaded, so that instances can be made from it", async () => {
    const file = join(folder, "disk.raw");
    await writeFile(file, randomBytes(300_000));
    const made = JSON.parse(
      await done("image", "create", "islet", "--file", file, "--format", "raw", "-o", "json"),
    ) as {
      resource: { status: { state: string } };
    };
    assert.equal(made.resource.status.state, "ready");
    assert.equal((await client.get("Image", { project: "lab", name: "islet" })).status.state, "ready");
  });

  test("an image whose upload failed is uploaded again by a command of its own, and only from its own file", async () => {
    const file = join(folder, "again.raw");
    await writeFile(file, randomBytes(200_000));
    await done("image", "create", "again", "--file", file, "--format", "raw", "--dry-run");
    const digest = `sha256:${"0".repeat(64)}`;
    const declared = { sizeBytes: 200_000, format: "raw", architecture: "x86_64", virtualSizeMiB: 1 } as const;
    await client.put("Image", { project: "lab", name: "again" }, { spec: { ...declared, digest } });
    const wrong = await skerry("image", "upload", "again", "--file", file);
    assert.match(wrong.err, /error digest-mismatch [\s\S]*skerry image upload again --file/);
    const other = join(folder, "other.raw");
    await writeFile(other, "too short");
    assert.match((await skerry("image", "upload", "again", "--file", other)).err, /200000 bytes[\s\S]* do /);
    await done("image", "delete", "again");
    await done("image", "create", "again", "--file", file, "--format", "raw");
    await done("image", "upload", "again", "--file", file);
  });

  test("an instance of what is not there is refused by its name, another project's image only where that may be known", async () => {
    const file = join(folder, "bay.raw");
    await writeFile(file, randomBytes(100_000));
    await done("image", "create", "bay", "--file", file, "--format", "raw");
    await client.put("Project", { name: "bay" }, { spec: { organisation: "lab" } });
    const size = ["--vcpus", "1", "--memory", "64"];
    const refused = async (...words: readonly string[]): Promise<string> => {
      const { code, err } = await skerry("instance", "create", "bay/one", ...size, ...words);
      assert.notEqual(code, 0);
      return err;
    };
    for (const image of ["lab/bay", "bay"])
      assert.match(await refused("--image", image), /lab\/bay, which is not shared/);
    const { secret = "" } = await client.put(
      "ApiToken",
      { name: "bay" },
      { spec: { role: "operator", project: "bay" } },
    );
    const tokenFile = join(folder, "bay.token");
    await writeFile(tokenFile, secret, { mode: 0o600 });
    for (const image of ["lab/bay", "bay", "lab/none"])
      assert.match(
        await refused("--token-file", tokenFile, "--image", image),
        new RegExp(`image ${image}, which does not exist`),
      );

    // As the remedy says.
    const shown = join(folder, "shown.yaml");
    const { spec } = JSON.parse(await done("image", "show", "lab/bay", "-o", "json")) as { spec: object };
    const metadata = { name: "bay", project: "lab" };
    await writeFile(shown, JSON.stringify({ kind: "Image", metadata, spec: { ...spec, shared: true } }));
    await done("apply", "-f", shown);
    assert.match(await refused("--image", "bay"), /Name it lab\/bay/);
    assert.match(await refused("--image", "lab/bay", "--node", "n9"), /names the node n9, which does not exist/);
    assert.match(await refused("--image", "lab/bay", "--site", "rome"), /names the site rome, which does not exist/);
  });

  test("a size that is not named is asked for by its flags", async () => {
    const { code, err } = await skerry("instance", "resize", "any");
    assert.equal(code, 2);
    assert.match(err, /--vcpus, --memory or --disk/);
  });

  test("files are rehearsed whole: what stands on another one of them finds it there, and nothing of it is kept", async () => {
    const file = join(folder, "shop.yaml");
    const documents = [
      "kind: Network\nmetadata: {name: lan, project: shop}\nspec: {cidr: 10.7.0.0/24}",
      "kind: Project\nmetadata: {name: shop}\nspec: {organisation: trade}",
      "kind: Organisation\nmetadata: {name: trade}\nspec: {}",
    ];
    await writeFile(file, documents.join("\n---\n"));
    const planned = await done("apply", "-f", file, "--dry-run");
    assert.deepEqual(planned.match(/^\+ .*$/gm), ["+ Organisation trade", "+ Project shop", "+ Network shop/lan"]);
    await assert.rejects(client.get("Project", { name: "shop" }), /no project shop/i);
    await writeFile(file, documents[0]?.replace("shop", "nowhere") ?? "");
    assert.match((await skerry("apply", "-f", file, "--dry-run")).err, /Network lan: There is no project nowhere/);
  });

  test("a rehearsal of more than the server takes at once is refused before it is sent, with what to do", async () => {
    const file = join(folder, "crowd.json");
    const crowd = (count: number, userData: string) =>
      Array.from({ length: count }, (_, index) => ({
        kind: "Instance",
        metadata: { name: `i-${index}`, project: "lab" },
        spec: { vcpus: 1, memoryMiB: 64, image: "none", userData },
      }));
    const refusal = async (documents: readonly object[]) => {
      await writeFile(file, documents.map((document) => JSON.stringify(document)).join("\n---\n"));
      return (await skerry("apply", "-f", file, "--dry-run")).err;
    };
    assert.match(await refusal(crowd(201, "")), /too-large .*at most 200 resources .*201 resources[\s\S]*file by file/);
    assert.match(await refusal(crowd(17, "x".repeat(65_536))), /too-large .*1048576 bytes.* 11\d{5} bytes/);
    assert.match(await refusal(crowd(2, "")), /Instance i-0: /);
  });

  test("provisioning a known node needs its name alone, and keeps what the flags do not say", async () => {
    const spec = { site: "cadiz", address: "127.0.0.1", capacityOverride: { vcpus: 1, memoryMiB: 512, diskMiB: 4096 } };
    await client.put("Node", { name: "known" }, { spec });
    const hostKey = `SHA256:${"A".repeat(43)}`;
    const { err } = await skerry("node", "provision", "known", "--host-key", hostKey);
    // Its provider's agents join by themselves: the server says so, having learnt the key.
    assert.match(err, /has the driver manual/);
    const node = await client.get("Node", { name: "known" });
    assert.deepEqual(node.spec, { ...spec, hostKeyFingerprint: hostKey });
    assert.match((await skerry("node", "provision", "known")).err, /has the driver manual/);
  });

  test("a cancel that is only rehearsed shows what it would change, and the operation goes on", async () => {
    const ssh = { user: "root", privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----" };
    await client.put("Provider", { name: "wire" }, { spec: { driver: "ssh", country: "ES", ssh } });
    const site = { provider: "wire", country: "ES", latitude: 40, longitude: -3, tier: "cloud" } as const;
    await client.put("Site", { name: "far" }, { spec: site });
    await client.put("Node", { name: "slow" }, { spec: { site: "far", address: "127.0.0.1" } });
    // The operation waits for what it would install until somebody cancels it.
    const { operation } = await client.action("Node", { name: "slow" }, "provision");
    const name = operation?.metadata.name ?? "";
    assert.match(await done("operation", "cancel", name, "--dry-run"), /~ Operation [\s\S]*cancelRequestedAt/);
    assert.equal((await client.get("Operation", { name })).status.cancelRequestedAt, undefined);
    const listed = async (what: string): Promise<readonly { readonly metadata: { readonly name: string } }[]> =>
      JSON.parse(await done("operation", "list", "--for", what, "-o", "json")) as Awaited<ReturnType<typeof listed>>;
    assert.deepEqual(
      (await listed("node/slow")).map(({ metadata }) => metadata.name),
      [name],
    );
    assert.deepEqual(await listed("instance/lab/slow"), []);
    assert.match((await skerry("operation", "list", "--for", "slow")).err, /instance\/NAME/);
    await done("operation", "cancel", name);
    assert.equal((await client.get("Operation", { name })).status.cancelRequestedBy, "admin");
    agent.reject(new Error("no agent is made any more"));
    assert.equal((await client.waitForOperation(name, () => undefined)).status.state, "cancelled");
  });

  test("provisioning a node that nobody knows says which flag is missing", async () => {
    const { code, err } = await skerry("node", "provision", "new", "--site", "cadiz");
    assert.equal(code, 2);
    assert.match(err, /no node new yet, and --address is missing[\s\S]*--site SITE --address ADDRESS/);
  });

  test("what a project has and may have is shown, limited, rehearsed and lifted", async () => {
    await client.put("Project", { name: "small" }, { spec: { organisation: "lab" } });
    await done("project", "quota", "small", "vcpus=4", "memoryMiB=2048");
    assert.match(await done("project", "quota", "small"), /^instances +0 +none\nvcpus +0 +4$/m);
    assert.match(await done("project", "list"), /^small +lab +0 +0 \/ 4 +0 B \/ 2\.0 GiB /m);
    const rehearsed = await done("project", "quota", "small", "vcpus-", "--dry-run");
    assert.match(rehearsed, /spec\.quota\.vcpus  4 -> \(removed\)/);
    await done("project", "quota", "small", "vcpus-");
    assert.deepEqual((await client.get("Project", { name: "small" })).spec.quota, { memoryMiB: 2048 });
    await done("project", "quota", "small", "spend=99.90EUR");
    assert.match(await done("project", "quota", "small"), /^spend this month +0\.000000 +99\.90 EUR$/m);
    assert.match((await skerry("project", "quota", "small", "spend=99.90")).err, /"spend=99\.90" is not a limit/);
    await done("project", "quota", "small", "spend-");
    assert.deepEqual((await client.get("Project", { name: "small" })).spec.quota, { memoryMiB: 2048 });
  });

  test("usage is told as a file for spreadsheets and for programs, of a project or an organisation", async () => {
    const site = await client.get("Site", { name: "cadiz" });
    const prices = [{ from: "2026-01", currency: "EUR", vcpuHour: "0.012" }];
    await client.put("Site", { name: "cadiz" }, { spec: { ...site.spec, prices } });
    assert.match(
      await done("usage", "--month", "2026-01", "-o", "csv"),
      /^month,until,project,site,[^\n]*totalCost\r\n$/,
    );
    const told = JSON.parse(await done("usage", "--organisation", "lab", "-o", "json")) as object;
    assert.deepEqual({ ...told, month: "", until: "" }, { month: "", until: "", lines: [], totals: [] });
  });

  test("what is mistyped is refused with its cause and the way out, and nothing is kept of it", async () => {
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [["instance", "show", "lab/first/x"], /"lab\/first\/x" is not a name[\s\S]*PROJECT\/NAME/],
      [["instance", "show", "/x"], /is not a name/],
      [["instance", "forward", "first", "99999:1"], /not a pair of ports[\s\S]*at most 65535/],
      [["instance", "forward", "first", "0"], /not a pair of ports/],
      [["site", "show", "nowhere"], /There is no Site nowhere[\s\S]*skerry site list/],
      [["join-token", "show", "none"], /skerry join-token list/],
      [
        ["site", "create", "x", "--provider", "hand", "--country", "ES", "--latitude", "abc", "--longitude", "1"],
        /--latitude[\s\S]*not a number/,
      ],
      [["organisation", "create", `a${"b".repeat(200)}`], /error invalid-request .*can not be a name/],
      [
        ["context", "add", "plain", "--server", "http://x", "--token-file", server.adminTokenFile],
        /https:\/\/HOST:PORT/,
      ],
      [["node", "list", "--server", "nonsense"], /https:\/\/HOST:PORT/],
      [["node", "list", "--authority", fileURLToPath(import.meta.url)], /copy pki\/ca\.pem/],
      [["project", "quota", "lab", "vcpu=4"], /"vcpu=4" is not a limit[\s\S]*vcpus=NUMBER/],
      [["organisation", "create", "lab"], /exists already[\s\S]*skerry apply/],
    ];
    for (const [words, expected] of refusals) {
      const { code, err } = await skerry(...words);
      assert.notEqual(code, 0, words.join(" "));
      assert.match(err, expected);
    }
    assert.match(await done("context", "list"), /^\*\s+home .*$/m);
  });
});
