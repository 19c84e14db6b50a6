import { spawn } from "node:child_process";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import { runProgram } from "../../src/drivers/run-program.ts";

const never = new AbortController().signal;

/** A network namespace that stands for a machine; programs run in it through `run`. */
export interface Machine extends AsyncDisposable {
  readonly pid: number;
  readonly run: typeof runProgram;
  /** Runs one command, given as words separated by single spaces. */
  readonly do: (command: string) => Promise<string>;
  /** Whether a ping gets there and back; `options` go to ping. */
  readonly reaches: (address: string, ...options: string[]) => Promise<boolean>;
  /** Whether TCP connects within a second. */
  readonly connects: (address: string, port: number) => Promise<boolean>;
}

/** Makes a machine with its loopback up, no IPv6, and a /run/wireguard of its own; it ends with its scope. */
export async function makeMachine(): Promise<Machine> {
  const script = [
    "mkdir -p /run/wireguard && mount -t tmpfs wg /run/wireguard",
    // Neighbour discovery would only add packets that no test asked for.
    "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
    "ip link set lo up && echo ready && exec sleep infinity",
  ].join(" && ");
  const holder = spawn("unshare", ["--mount", "--net", "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  if (holder.pid === undefined) throw new Error("the namespace could not be made");
  await once(holder.stdout, "data");
  // A test that fails half-way must not wait for a machine that it did not take down; it goes with the namespaces.
  holder.unref();
  holder.stdout.destroy();
  const { pid } = holder;
  const enter = ["nsenter", "--target", String(pid), "--mount", "--net", "--"] as const;
  const run: typeof runProgram = (argv, signal, input) => runProgram([...enter, ...argv], signal, input);
  const succeeds = (argv: readonly [string, ...string[]]): Promise<boolean> =>
    run(argv, never).then(
      () => true,
      () => false,
    );
  return {
    pid,
    run,
    reaches: (address, ...options) =>
      succeeds(["ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", ...options, address]),
    connects: (address, port) => succeeds([process.execPath, "-e", connectScript(address, port)]),
    do: async (command) => (await run(command.split(" ") as [string, ...string[]], never)).stdout,
    async [Symbol.asyncDispose]() {
      // wireguard-go ends with its device; left alone it would hold the namespace. There may be none.
      await run(["ip", "link", "delete", "dev", "skwg0"], never).catch(() => undefined);
      holder.ref();
      const closed = once(holder, "close");
      holder.kill("SIGKILL");
      await closed;
    },
  };
}

function connectScript(address: string, port: number): string {
  if (!isIPv4(address)) throw new TypeError(`${address} is not an address`);
  return `const s = require("net").connect(${port}, "${address}");
    s.on("connect", () => process.exit(0)).on("error", () => process.exit(1)); setTimeout(() => process.exit(2), 1000);`;
}
