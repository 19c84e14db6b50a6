import { InvalidArgumentError, type Command } from "commander";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CommandDeps } from "../command-deps.ts";
import { version } from "../version.ts";

interface ServerFlags {
  readonly dataDir: string;
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly advertise?: readonly string[];
  readonly artifactsDir?: string;
}

export function addServerCommand(program: Command, { terminal, signal }: CommandDeps): void {
  const listen: { host: string; port: number }[] = [];
  program
    .command("server")
    .description("run the control plane")
    .option(
      "--data-dir <dir>",
      "its state, keys and images",
      process.getuid?.() === 0 ? "/var/lib/skerry/server" : join(homedir(), ".local/share/skerry/server"),
    )
    .option(
      "--listen <host:port>",
      "address to serve on; may be given more than once (default 127.0.0.1:7440)",
      (text: string) => [...(listen.push(address(text)) > 0 ? listen : [])],
    )
    .option(
      "--advertise <address...>",
      "names or addresses that agents and clients use, for the certificate; the first is what new nodes dial",
    )
    .option("--artifacts-dir <dir>", "where what is copied to hosts is kept; in the data directory if absent")
    .action(async (flags: ServerFlags) => {
      const { startServer } = await import("@skerry/server");
      const server = await startServer(
        {
          dataDir: flags.dataDir,
          listen: flags.listen ?? [{ host: "127.0.0.1", port: 7440 }],
          advertise: flags.advertise ?? [],
          version: version(),
          ...(flags.artifactsDir === undefined ? {} : { artifactsDir: flags.artifactsDir }),
          bundleAgent: async (outFile) => (await import("@skerry/agent")).buildAgentBundle(outFile),
        },
        signal,
      );
      terminal.err.write(
        `Skerry serves at ${server.url}\n  authority ${server.caFile}\n  administrator's token in ${server.adminTokenFile}\n`,
      );
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await server.close();
    });
}

/** `host:port`, with brackets around an IPv6 address. */
function address(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new InvalidArgumentError("write HOST:PORT, for example 127.0.0.1:7440 or [::1]:7440");
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}
