import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { runCommand } from "../../src/command.ts";
import { eventually } from "./machine.ts";

export const guestMac = "52:54:00:12:34:56";
/** The address that QEMU's user-mode network leases by DHCP, and one that it does not. */
export const leasedAddress = "10.0.2.15";
export const staticAddress = "10.0.2.77";

/** Files of a NoCloud seed, by name. */
export type Seed = Readonly<Record<string, string>>;

export async function writeSeed(directory: string, seed: Seed): Promise<string> {
  await mkdir(`${directory}/seed`, { recursive: true });
  for (const [name, text] of Object.entries(seed)) await writeFile(`${directory}/seed/${name}`, text);
  const files = Object.keys(seed).map((name) => `${directory}/seed/${name}`);
  await runCommand([
    "genisoimage",
    "-quiet",
    "-output",
    `${directory}/seed.iso`,
    "-volid",
    "cidata",
    "-joliet",
    "-rock",
    ...files,
  ]);
  return `${directory}/seed.iso`;
}

/** A guest under QEMU's software emulation, its ports 80 and 22 forwarded to this machine's loopback. */
export class RunningGuest implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly httpPort: number;
  readonly sshPort: number;
  readonly startedAt = performance.now();

  private constructor(process: ChildProcess, directory: string, httpPort: number, sshPort: number) {
    this.#process = process;
    this.#directory = directory;
    this.httpPort = httpPort;
    this.sshPort = sshPort;
  }

  /** Boots a disk by the machine's BIOS; nothing of the guest is given to QEMU but its disks. */
  static async start(
    directory: string,
    disk: string,
    seed: string | undefined,
    address: string,
    memoryMiB: number,
  ): Promise<RunningGuest> {
    const [httpPort, sshPort] = [await freePort(), await freePort()];
    const forwards = `hostfwd=tcp:127.0.0.1:${httpPort}-${address}:80,hostfwd=tcp:127.0.0.1:${sshPort}-${address}:22`;
    const argv = [
      ...[
        "-machine",
        "q35,accel=tcg",
        "-cpu",
        "max",
        "-m",
        String(memoryMiB),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
      ],
      ...["-serial", `file:${directory}/serial.log`, "-qmp", `unix:${directory}/qmp.sock,server=on,wait=off`],
      ...["-drive", `file=${disk},if=virtio,format=qcow2`, "-device", "virtio-rng-pci"],
      ...(seed === undefined ? [] : ["-drive", `file=${seed},if=virtio,format=raw,readonly=on`]),
      ...["-netdev", `user,id=n0,${forwards}`, "-device", `virtio-net-pci,netdev=n0,mac=${guestMac},romfile=`],
    ];
    const process = spawn("setpriv", ["--pdeathsig", "KILL", "--", "qemu-system-x86_64", ...argv], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    await once(process, "spawn");
    return new RunningGuest(process, directory, httpPort, sshPort);
  }

  /** The body of an answer with status 200. */
  async get(path: string, timeoutMs = 120_000): Promise<string> {
    return eventually(`an answer to ${path}`, timeoutMs, async () => {
      if (this.#process.exitCode !== null) throw new Error(`QEMU exited with ${this.#process.exitCode}`);
      const response = await fetch(`http://127.0.0.1:${this.httpPort}${path}`, { signal: AbortSignal.timeout(2_000) });
      return response.ok ? (await response.text()).trim() : undefined;
    });
  }

  async ssh(key: string, command: string, { user = "root", timeoutMs = 60_000 } = {}): Promise<string> {
    const settings = [
      "BatchMode=yes",
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "LogLevel=ERROR",
      "ConnectTimeout=20",
    ];
    const argv = [
      "ssh",
      ...settings.flatMap((setting) => ["-o", setting]),
      "-i",
      key,
      "-p",
      String(this.sshPort),
      `${user}@127.0.0.1`,
      command,
    ];
    return eventually(`ssh: ${command}`, timeoutMs, async () => (await runCommand(argv)).stdout);
  }

  async serial(): Promise<string> {
    return readFile(`${this.#directory}/serial.log`, "latin1");
  }

  /** Presses the ACPI power button; resolves with the milliseconds until the machine was off. */
  async powerDown(timeoutMs = 30_000): Promise<number> {
    const startedAt = performance.now();
    const socket = createConnection(`${this.#directory}/qmp.sock`);
    socket.on("error", () => undefined); // QEMU closes it as it ends
    socket.write('{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n');
    if (this.#process.exitCode === null) await once(this.#process, "exit", { signal: AbortSignal.timeout(timeoutMs) });
    socket.destroy();
    return performance.now() - startedAt;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("a TCP server has no port");
  return address.port;
}
