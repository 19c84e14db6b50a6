import { InvalidArgumentError, type Command } from "commander";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CommandDeps } from "../command-deps.ts";
import { toLimits, type Limits } from "./server-limits.ts";
import { version } from "../version.ts";

interface ServerFlags {
  readonly dataDir: string;
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly advertise?: readonly string[];
  readonly artifactsDir?: string;
  readonly store?: string;
  readonly imagesDir?: string;
  readonly limit?: Limits;
}

export function addServerCommand(program: Command, { terminal, signal }: CommandDeps): void {
  const listen: { host: string; port: number }[] = [];
  program
    .command("server")
    .description("run the control plane")
    .option("--data-dir <dir>", "its state, keys and images", defaultServerDataDir())
    .option(
      "--listen <host:port>",
      "address to serve on; may be given more than once (default 127.0.0.1:7440)",
      (text: string) => [...(listen.push(address(text)) > 0 ? listen : [])],
    )
    .option(
      "--advertise <address...>",
      "names or addresses that agents and clients use, for the certificate; the first is what new nodes dial",
    )
    .option(
      "--store <postgres-url>",
      "a PostgreSQL database that several replicas share; the password may come from PGPASSWORD or ~/.pgpass",
    )
    .option(
      "--images-dir <dir>",
      "where images are kept, a directory that replicas share; in the data directory if absent",
    )
    .option("--artifacts-dir <dir>", "where what is copied to hosts is kept; in the data directory if absent")
    .option(
      "--limit <name=value>",
      "how much may be asked: principal, project, address as PER_SECOND[:AT_ONCE], streams and uploads as a number; may be given again",
      toLimits,
    )
    .action(async (flags: ServerFlags) => {
      const { startServer } = await import("@skerry/server");
      const server = await startServer(
        {
          dataDir: flags.dataDir,
          listen: flags.listen ?? [{ host: "127.0.0.1", port: 7440 }],
          advertise: flags.advertise ?? [],
          version: version(),
          ...(flags.limit === undefined ? {} : { limits: flags.limit }),
          ...(flags.store === undefined ? {} : { store: flags.store }),
          ...(flags.imagesDir === undefined ? {} : { imagesDir: flags.imagesDir }),
          ...(flags.artifactsDir === undefined ? {} : { artifactsDir: flags.artifactsDir }),
          bundleAgent: async (outFile) => (await import("@skerry/agent")).buildAgentBundle(outFile),
        },
        signal,
      );
      const tokens = server.hasAdminTokenFile
        ? `administrator's token in ${server.adminTokenFile}`
        : "tokens that this control plane has given before stay valid";
      terminal.err.write(`Skerry serves at ${server.url}\n  authority ${server.caFile}\n  ${tokens}\n`);
      const { firstStartLink, firstStartFile } = server;
      if (firstStartLink !== undefined) {
        terminal.err.write(
          `  open once, within a day, to be its first administrator: ${firstStartLink}\n` +
            `  without a browser: skerry login --authority ${server.caFile} --first-start '${firstStartLink}'\n`,
        );
      } else if (firstStartFile !== undefined)
        terminal.err.write(`  the link for the first administrator is in ${firstStartFile}\n`);
      const stopped = new Promise<undefined>((resolve) => {
        if (signal.aborted) resolve(undefined);
        else signal.addEventListener("abort", () => resolve(undefined), { once: true });
      });
      const cause = await Promise.race([stopped, server.lost]);
      await server.close();
      if (cause !== undefined) throw cause;
    });
}

/** Where a server keeps its state unless it is told otherwise. */
export function defaultServerDataDir(): string {
  return process.getuid?.() === 0 ? "/var/lib/skerry/server" : join(homedir(), ".local/share/skerry/server");
}

/** `host:port`, with brackets around an IPv6 address. */
function address(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new InvalidArgumentError("write HOST:PORT, for example 127.0.0.1:7440 or [::1]:7440");
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}
