import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describeHostKey } from "../../../src/host-key.ts";
import type { HostTarget } from "../../../src/host-target.ts";
import { makeSshKey, publicBlob, type SshKeyType } from "../../ssh-key.ts";
import { getSshd } from "./sshd-program.ts";

export interface SshdOptions {
  /** Size of the host's /opt as tmpfs takes it, for example `64m`. */
  readonly optSize?: string;
  /** Lines added to sshd_config. */
  readonly config?: readonly string[];
  /** Files of the host by absolute path below /etc, /var or /home. */
  readonly files?: Readonly<Record<string, string>>;
}

const keyTypes: readonly SshKeyType[] = ["ed25519", "ecdsa", "rsa"];

/** Users of the host beside root: `operator` has neither sudo nor a password, `barred` has no shell. */
const passwd = [
  "root:x:0:0:root:/root:/bin/sh",
  "sshd:x:61100:61100::/run/sshd:/usr/sbin/nologin",
  "operator:x:61101:61101::/home/operator:/bin/bash",
  "barred:x:61102:61102::/home/barred:/usr/sbin/nologin",
];

/**
 * A real OpenSSH server on loopback whose sessions see this machine's programs but their own /etc, /var, /home, /run and
 * /opt: what they change there is gone with it.
 */
export class SshdHost implements AsyncDisposable {
  readonly port: number;
  readonly fingerprints: Readonly<Record<SshKeyType, string>>;
  /** A key that root, operator and barred may log in with. */
  readonly clientKey: string;
  readonly #process: ChildProcess;
  readonly #dir: string;
  readonly #lines: Interface;
  readonly #log: string[] = [];

  private constructor(
    port: number,
    fingerprints: Readonly<Record<SshKeyType, string>>,
    clientKey: string,
    process: ChildProcess,
    dir: string,
    lines: Interface,
  ) {
    this.port = port;
    this.fingerprints = fingerprints;
    this.clientKey = clientKey;
    this.#process = process;
    this.#dir = dir;
    this.#lines = lines;
    lines.on("line", (line) => this.#log.push(line));
  }

  static async start(options: SshdOptions = {}): Promise<SshdHost> {
    const sshd = await getSshd();
    const dir = await mkdtemp(join(tmpdir(), "skerry-sshd-"));
    // sshd reads a user's keys as that user.
    await chmod(dir, 0o755);
    const port = await freePort();
    const client = makeSshKey("ed25519");
    const fingerprints: Partial<Record<SshKeyType, string>> = {};
    for (const type of keyTypes) {
      const pair = makeSshKey(type);
      await writeFile(join(dir, `host-${type}`), pair.private, { mode: 0o600 });
      fingerprints[type] = describeHostKey(publicBlob(pair)).fingerprint;
    }
    await writeFile(join(dir, "authorized_keys"), `${client.public}\n`);
    const etc: Record<string, string> = {
      "/etc/passwd": `${passwd.join("\n")}\n`,
      "/etc/group": "root:x:0:\nsshd:x:61100:\noperator:x:61101:\nbarred:x:61102:\n",
      "/etc/shadow": passwd.map((line) => `${line.split(":")[0]}:*:19000:0:99999:7:::\n`).join(""),
      "/home/operator/.bashrc": "",
      ...options.files,
    };
    for (const [path, text] of Object.entries(etc)) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    }
    const config = [
      ...(options.config ?? []),
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      ...keyTypes.map((type) => `HostKey ${dir}/host-${type}`),
      `AuthorizedKeysFile ${dir}/authorized_keys`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "UseDNS no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      "MaxStartups 100",
      "LogLevel VERBOSE",
    ];
    await writeFile(join(dir, "sshd_config"), `${config.join("\n")}\n`);
    const script = fileURLToPath(new URL("./sshd-host.sh", import.meta.url));
    const argv = [
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "--",
      "sh",
      script,
      dir,
      options.optSize ?? "512m",
      sshd.path,
    ];
    const env = { PATH: process.env["PATH"], LD_LIBRARY_PATH: sshd.libraries };
    const child = spawn("unshare", argv, { stdio: ["ignore", "ignore", "pipe"], env });
    const { ed25519 = "", ecdsa = "", rsa = "" } = fingerprints;
    const host = new SshdHost(
      port,
      { ed25519, ecdsa, rsa },
      client.private,
      child,
      dir,
      createInterface({ input: child.stderr }),
    );
    const ended = once(child, "exit").then(() => {
      throw new Error(`sshd did not start: ${host.#log.join(" | ")}`);
    });
    await Promise.race([host.logged(/^Server listening/), ended]);
    // From here on its end is the test's doing.
    ended.catch(() => undefined);
    return host;
  }

  /** Its target for root with the right key and the ed25519 host key pinned. */
  target(changes: Partial<HostTarget> = {}): HostTarget {
    return {
      address: "127.0.0.1",
      port: this.port,
      user: "root",
      privateKey: this.clientKey,
      hostKeyFingerprint: this.fingerprints.ed25519,
      ...changes,
    };
  }

  /** What the server has logged, once one line of it matches. */
  async logged(pattern: RegExp): Promise<string> {
    while (!this.#log.some((line) => pattern.test(line))) await once(this.#lines, "line");
    return this.#log.join("\n");
  }

  /** Runs a program as root in the host's view, without SSH. */
  async within(argv: readonly string[]): Promise<string> {
    const child = spawn("nsenter", [`--mount=/proc/${await this.#innerPid()}/ns/mnt`, "--", ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const [code] = (await once(child, "close")) as [number];
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${output}`);
    return output;
  }

  /** Everything below /etc, /var and /opt that differs from how the host began, one path per line. */
  changes(): Promise<string> {
    return this.within([
      "sh",
      "-c",
      'cd "$0" && find etc var /opt -path var/lib/dpkg -prune -o -newer sshd_config ! -type d -print | sort',
      this.#dir,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    if (this.#process.exitCode === null && this.#process.signalCode === null) await gone;
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #innerPid(): Promise<number> {
    const children = await readFile(`/proc/${this.#process.pid}/task/${this.#process.pid}/children`, "utf8");
    return Number(children.trim().split(" ")[0]);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
