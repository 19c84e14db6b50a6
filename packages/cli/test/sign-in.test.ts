import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startIdentityServer } from "@skerry/testkit";
import { startServer, type RunningServer } from "@skerry/server";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const password = "correct horse battery staple";

/** What an authenticator app makes of a key, by RFC 6238. */
function codeOf(key: string, aheadSteps = 0): string {
  const bits = Array.from(key, (letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
  );
  const secret = Buffer.from((bits.join("").match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + aheadSteps));
  const mac = createHmac("sha1", secret).update(counter).digest();
  return String((mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

/* Signing in as people type it, each command a process of its own, against a server in this one. */
describe("signing in by the command line", { timeout: 300_000 }, () => {
  let folder: string;
  let server: RunningServer;
  let link = "";
  let key = "";
  const contexts = (): string => join(folder, "contexts.json");

  /** Runs a command, and answers each question once it is asked. */
  async function skerry(
    words: readonly string[],
    answers: readonly (readonly [question: RegExp, answer: (said: string) => string])[] = [],
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...words], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", SKERRY_CONTEXTS: contexts() },
    });
    let [out, err, from] = ["", "", 0];
    const left = [...answers];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
      const [next] = left;
      if (next === undefined || !next[0].test(err.slice(from))) return;
      left.shift();
      from = err.length;
      child.stdin.write(`${next[1](err)}\n`);
      if (left.length === 0) child.stdin.end();
    });
    if (left.length === 0) child.stdin.end();
    await once(child, "close");
    assert.ok(!err.includes(password) && !out.includes(password));
    return { code: child.exitCode ?? -1, out, err };
  }
  const done = async (...asked: Parameters<typeof skerry>) => {
    const answer = await skerry(...asked);
    assert.equal(answer.code, 0, `${asked[0].join(" ")}: ${answer.err}`);
    return answer;
  };
  const keyIn = (said: string): string => /type its key in: ([A-Z2-7 ]+)/.exec(said)?.[1]?.replaceAll(" ", "") ?? "";
  const stored = async () => {
    const { contexts: known } = JSON.parse(await readFile(contexts(), "utf8")) as {
      contexts: Record<string, { session?: { user: string; token: string }; tokenFile?: string }>;
    };
    return known["127.0.0.1"];
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "skerry-login-"));
    server = await startServer(
      {
        dataDir: join(folder, "server"),
        listen: [{ host: "127.0.0.1", port: 0 }],
        advertise: [],
        version: "0.0.0-test",
        passwordCost: { memoryKiB: 64, passes: 1 },
        writeLog: () => undefined,
      },
      new AbortController().signal,
    );
    link = server.firstStartLink ?? "";
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test("a first start's link makes the first administrator, once, and signs them in", async () => {
    const words = ["login", "--authority", server.caFile, "--first-start", link];
    const answers = [
      [/name here: $/, () => "ana"],
      [/New password.*: $/, () => password],
      [/same again: $/, () => password],
      [/six digits.*: $/, (said: string) => codeOf((key = keyIn(said)))],
    ] as const;
    const { out, err } = await done(words, answers);
    assert.equal(out.trim().split("\n").length, 10);
    assert.match(err, /signed in as ana at https:/);
    assert.equal((await stat(contexts())).mode & 0o777, 0o600);
    const who = await done(["whoami"]);
    assert.match(who.out, /^ana \(user\) at https:.*\nplatform-admin in the zone\nuntil /);
    await done(["organisation", "create", "acme"]);
    const again = await skerry(words, answers.slice(0, 1));
    assert.deepEqual([again.code, /The link is not valid/.test(again.err)], [4, true]);
  });

  test("signing out ends the session at the server too, and signing in again gives another", async () => {
    const before = await stored();
    await done(["logout"]);
    assert.equal((await stored())?.session, undefined);
    const nobody = await skerry(["whoami"]);
    assert.equal(nobody.code, 4);
    assert.match(nobody.err, /Nobody is signed in here[\s\S]*do .*skerry login/);
    const wrong = await skerry(
      ["login", "--user", "ana"],
      [
        [/Password: $/, () => password],
        [/recovery code: $/, () => "000000"],
      ],
    );
    assert.equal(wrong.code, 4);
    await done(
      ["login"],
      [
        [/User: $/, () => "ana"],
        [/Password: $/, () => password],
        [/recovery code: $/, () => codeOf(key, 1)],
      ],
    );
    const now = await stored();
    assert.equal(now?.session?.user, "ana");
    assert.notEqual(now?.session?.token, before?.session?.token);
  });

  test("an invited user sets their own password, sees what they were given, and changes it by the current one", async () => {
    await done(["user", "create", "bob"]);
    const invited = await done(["user", "invite", "bob"]);
    let bobKey = "";
    await done(
      ["login", "--context", "bob", "--authority", server.caFile, "--invitation", invited.out.trim()],
      [
        [/For bob[\s\S]*New password.*: $/, () => password],
        [/same again: $/, () => password],
        [/six digits.*: $/, (said) => codeOf((bobKey = keyIn(said)))],
      ],
    );
    const who = JSON.parse((await done(["whoami", "-o", "json"])).out) as { name: string; roles: unknown[] };
    assert.deepEqual([who.name, who.roles], ["bob", []]);
    assert.equal((await skerry(["user", "invite", "ana"])).code, 3);
    const changed = await done(
      ["user", "password"],
      [
        [/Current password: $/, () => password],
        [/recovery code: $/, () => codeOf(bobKey, 1)],
        [/New password.*: $/, () => "another horse, another battery"],
        [/same again: $/, () => "another horse, another battery"],
      ],
    );
    assert.match(changed.err, /the password is changed; 0 other sessions ended/);
  });

  test("an identity provider signs people in, by a browser that comes back and by a code typed in elsewhere", async () => {
    await using identity = await startIdentityServer();
    identity.people.set("s-1", { preferred_username: "eva" });
    const home = ["--context", "127.0.0.1", "--token-file", server.adminTokenFile];
    await done([
      ...[
        "identity-provider",
        "create",
        "corp",
        "--issuer",
        identity.issuer,
        "--client-id",
        "skerry",
        "--create-users",
      ],
      ...["--scope", "profile", ...home],
    ]);
    const browsing = Promise.withResolvers<unknown>();
    const came = (said: string): string => {
      const [, url = ""] = /(http:\/\/127\S+)/.exec(said) ?? [];
      identity
        .visit(url, "s-1")
        .then((answer) => {
          const redirect = new URL(new URL(url).searchParams.get("redirect_uri") ?? "");
          // First one that it did not wait for.
          const forged = fetch(`${redirect.href}?code=x&state=y`);
          return forged.then(({ status }) => (assert.equal(status, 404), fetch(`${redirect.href}?${answer}`)));
        })
        .then(browsing.resolve, browsing.reject);
      return "";
    };
    const byBrowser = await done(
      [
        "login",
        "--context",
        "eva",
        "--server",
        server.url,
        "--authority",
        server.caFile,
        "--identity-provider",
        "corp",
      ],
      [[/\/auth\?\S+\n$/, came]],
    );
    await browsing.promise;
    assert.match(byBrowser.err, /signed in as eva at https:/);
    const agreed = Promise.withResolvers<unknown>();
    const byDevice = await done(
      ["login", "--context", "eva", "--device", "--role", "viewer"],
      [
        [
          /type in: \S+\n$/,
          (said) => {
            const [, uri = "", code = ""] = /Open (\S+) in any browser, and type in: (\S+)/.exec(said) ?? [];
            identity.confirm(uri, code, "s-1").then(agreed.resolve, agreed.reject);
            return "";
          },
        ],
      ],
    );
    await agreed.promise;
    assert.match(byDevice.err, /signed in as eva/);
    assert.match((await done(["whoami"])).out, /^eva \(user\)[\s\S]*at most viewer in the zone/);
    await done(["context", "use", "127.0.0.1"]);
  });

  test("a session is for its server alone, and gives way to a token that is named", async () => {
    const elsewhere = await skerry(["whoami", "--context", "127.0.0.1", "--server", "https://127.0.0.1:1"]);
    assert.equal(elsewhere.code, 4, elsewhere.err);
    const named = await done(["whoami", "--context", "127.0.0.1", "--token-file", server.adminTokenFile]);
    assert.match(named.out, /^admin \(API token\)/);
  });
});
