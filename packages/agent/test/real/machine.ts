import { spawn } from "node:child_process";
import { once } from "node:events";
import { runProgram } from "../../src/drivers/run-program.ts";

const never = new AbortController().signal;

/** A network namespace that stands for a machine; programs run in it through `run`. */
export interface Machine extends AsyncDisposable {
  readonly pid: number;
  readonly run: typeof runProgram;
  /** Runs one command, given as words separated by single spaces. */
  readonly do: (command: string) => Promise<string>;
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
  const { pid } = holder;
  const enter = ["nsenter", "--target", String(pid), "--mount", "--net", "--"] as const;
  const run: typeof runProgram = (argv, signal, input) => runProgram([...enter, ...argv], signal, input);
  return {
    pid,
    run,
    do: async (command) => (await run(command.split(" ") as [string, ...string[]], never)).stdout,
    async [Symbol.asyncDispose]() {
      // wireguard-go ends with its device; left alone it would hold the namespace. There may be none.
      await run(["ip", "link", "delete", "dev", "skwg0"], never).catch(() => undefined);
      const closed = once(holder, "close");
      holder.kill("SIGKILL");
      await closed;
    },
  };
}
